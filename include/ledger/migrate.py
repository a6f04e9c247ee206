"""Numbered, forward-only migrations of the ledger, each applied once and remembered with its checksum."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import SluiceError

if TYPE_CHECKING:
    import psycopg

FOLDER = Path(__file__).parent / "migrations"
_NAME = re.compile(r"([0-9]{4})_[a-z_]+\.sql")
_SCHEMA = re.compile(r"^create schema (\w+);", re.MULTILINE)
_LOCK = 0x51_01CE  # any fixed number: two migrating processes take turns

_HISTORY = """
create table if not exists schema_migration (
    number     integer primary key,
    name       text not null,
    sha256     text not null,
    applied_at timestamptz not null default clock_timestamp()
);
comment on table schema_migration is 'The migrations of include/ledger/migrations that were applied here, with the checksum of each.';
"""


class MigrationRefused(SluiceError):
    """The ledger and the migrations of this code do not fit together; nothing was changed."""


@dataclass(frozen=True)
class Migration:
    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """The migrations of this code, in order."""
    found = [
        Migration(int(match[1]), path.name, path.read_text()) for path in sorted(folder.iterdir()) if (match := _NAME.fullmatch(path.name))
    ]
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationRefused(f"migrations are not numbered 1, 2, 3, ...: {', '.join(m.name for m in found)}")
    return found


def extra_schemas(folder: Path = FOLDER) -> list[str]:
    """The schemas of fixed names that migrations make beside the one that the ledger lies in."""
    return [name for migration in migrations(folder) for name in _SCHEMA.findall(migration.text)]


def migrate(connection: psycopg.Connection, folder: Path = FOLDER) -> list[str]:
    """Bring a ledger to this code's version, all steps in one transaction; return the names of those applied.

    Raises:
        MigrationRefused: the ledger is newer than the code, or an applied migration was edited since.
    """
    known = migrations(folder)
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(_HISTORY)
        pending = _pending(known, dict(connection.execute("select number, sha256 from schema_migration").fetchall()))
        for migration in pending:
            connection.execute(migration.text.encode())
            connection.execute(
                "insert into schema_migration (number, name, sha256) values (%s, %s, %s)",
                (migration.number, migration.name, migration.sha256),
            )
    return [migration.name for migration in pending]


def planned(connection: psycopg.Connection, folder: Path = FOLDER) -> list[str]:
    """What `migrate` would do, as sentences; nothing is changed, and nobody is waited for.

    Raises:
        MigrationRefused: as `migrate` would.
    """
    known = migrations(folder)
    found = connection.execute("select to_regclass('schema_migration')").fetchone()
    if found is None or found[0] is None:
        rows: list[tuple[int, str]] = []
    else:
        rows = connection.execute("select number, sha256 from schema_migration").fetchall()
    pending = _pending(known, dict(rows))
    at = f"the ledger is at migration {len(rows)}, this code at {len(known)}"
    if not pending:
        return [f"{at}: nothing to do"]
    return [f"{at}; one transaction would apply:", *(f"  {migration.name}: {_subject(migration)}" for migration in pending)]


def _pending(known: list[Migration], applied: dict[int, str]) -> list[Migration]:
    """The migrations that were not applied yet, where those that were are this code's."""
    newest = max(applied, default=0)
    if newest > len(known):
        raise MigrationRefused(f"the ledger is at migration {newest}, this code knows {len(known)}: use the newer release")
    for migration in known[:newest]:
        if applied[migration.number] != migration.sha256:
            raise MigrationRefused(f"{migration.name} was changed after it was applied; migrations only go forward: add a new one")
    return known[newest:]


def _subject(migration: Migration) -> str:
    r"""What the first comment of a migration says.

    >>> _subject(Migration(1, "0001_a.sql", "-- The ledger:\n-- every file.\n\ncreate table a ();"))
    'The ledger: every file.'
    """
    lines = []
    for line in migration.text.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return " ".join(lines)
