"""Every way in which PostgreSQL says that a constraint is violated."""

from __future__ import annotations

import psycopg

VIOLATIONS = sorted(
    {kind for kind in vars(psycopg.errors).values() if isinstance(kind, type) and issubclass(kind, psycopg.IntegrityError)},
    key=lambda kind: kind.__name__,
)


def violated(kind: type[psycopg.IntegrityError]) -> psycopg.IntegrityError:
    """As PostgreSQL would say it, with the row that it is about."""
    return kind("a rule says no\nDETAIL:  Key (name)=(Ann) already exists.")
