"""Who is to blame for what PostgreSQL refuses: asked of the SQLSTATE, whose first two digits are a class of errors."""

from __future__ import annotations

import re
import traceback
from pathlib import Path, PurePath

import psycopg

from include.errors import DeploymentFault, EnvironmentFailure, PassingConflict, Refused

# Another transaction was in the way: serialization, deadlock, a lock's or an idle transaction's time-out.
_PASSING = ("40", "55P03", "25P03")
# No connection, no memory, disk or sessions left, a server that starts, stops, stands by or has a damaged file: so for everybody.
_OUTAGE = ("08", "25006", "53", "57P", "58", "F0", "XX001", "XX002")
# The limit is of the settings and for one session: others go on below it.
_OF_ITS_SIZE = ("53400",)
_LOGIN = "correct the connection sluice_ledger (PGUSER, PGPASSWORD, PGDATABASE), or `sluice roles create` makes the roles"
_MIGRATE = "`sluice migrate` brings the ledger to this release, as the role that owns it"
_GRANT = "`sluice roles grant` gives the roles what they need, as the owner of the ledger"
_DEPLOYMENT = {
    "28": _LOGIN,
    "3D000": _LOGIN,
    "42501": _GRANT,
    "3F000": _MIGRATE,
    "42703": _MIGRATE,
    "42704": _MIGRATE,
    "42883": _MIGRATE,
    "42P01": _MIGRATE,
    "42P10": _MIGRATE,
}
_LOGIN_REFUSED = re.compile(
    r"authentication failed|no pg_hba\.conf entry|(?:role|database) \".*\" does not exist|permission denied for database"
)
# What PostgreSQL says of these names rules, relations and limits, and never a value.
_QUOTES_NOTHING = ("23", "25P04", "53", "54", "57014", *_DEPLOYMENT)
_QUOTING_LINES = re.compile(r"\n\s*(?:DETAIL|CONTEXT|LINE \d+|HINT|STATEMENT|WHERE):", re.IGNORECASE)
_QUOTED_INPUT = re.compile(r"(invalid input [^:]*|[^:]* out of range[^:]*|malformed [^:]*): \".*\"", re.DOTALL)
_COPIED = re.compile(r"COPY (\w+), line (\d+)(?:, column (\w+))?")
_OURS = Path(__file__).parents[1]


def blamed(failed: psycopg.Error) -> Exception:
    """The error to raise in place of PostgreSQL's own.

    Returns:
        `PassingConflict`, `EnvironmentFailure` or `DeploymentFault` where no work is to blame; else PostgreSQL's own kind, which is
        `Refused` too, without the lines that quote rows.
    """
    code, message = failed.sqlstate, " ".join(without_values(str(failed)).split()) or type(failed).__name__
    if code is None and isinstance(failed, psycopg.OperationalError | psycopg.InterfaceError):
        return EnvironmentFailure("PostgreSQL", message)
    if code is not None and code.startswith(_PASSING):
        return PassingConflict("PostgreSQL", f"{message} ({code}), again and again", "another transaction was in the way")
    if code is not None and code.startswith(_OUTAGE) and code not in _OF_ITS_SIZE:
        return EnvironmentFailure("PostgreSQL", f"{message} ({code})", _where_to_look(code))
    for start, mend in _DEPLOYMENT.items():
        if code is not None and code.startswith(start):
            return DeploymentFault("PostgreSQL", f"{message} ({code})", mend)
    return _refused(failed, code or "", message)


def connection_refused(where: str, message: str) -> EnvironmentFailure:
    """What a connection that does not come about is: the server gives no code for it, so its words decide."""
    if _LOGIN_REFUSED.search(message):
        return DeploymentFault("PostgreSQL", f"no connection to {where}: {message}", _LOGIN)
    return EnvironmentFailure("PostgreSQL", f"no connection to {where}: {message}")


def without_values(message: str) -> str:
    r"""What PostgreSQL says, without the lines in which it quotes rows and statements: errors end in logs, and values never may.

    >>> without_values('null value in column "n"\nDETAIL:  Failing row contains (7, Ann).\nCONTEXT:  COPY found, line 3: "Ann"')
    'null value in column "n"'
    >>> without_values('invalid input syntax for type bigint: "Ann"')
    'invalid input syntax for type bigint: "..."'
    """
    first = _QUOTING_LINES.split(message, maxsplit=1)[0].strip()
    return _QUOTED_INPUT.sub(r'\1: "..."', first)


def _where_to_look(code: str) -> str:
    if code == "53100" or code.startswith("58"):
        return "see `sluice status` and docs/runbooks/disk-full.md"
    return "see `sluice status` and docs/runbooks/stores-down.md"


def _refused(failed: psycopg.Error, code: str, message: str) -> Exception:
    kind = type(failed)
    refused = _kind_of(kind)(without_values(str(failed)))
    named = [f"{word} {name}" for word, name in _named(failed).items() if name]
    refused.way = " ".join(["PostgreSQL", code or kind.__name__, *named])
    place = ", ".join([*named, *_copied(failed), *_of_ours(failed)])
    detail = f": {message}" if code.startswith(_QUOTES_NOTHING) else ""
    refused.sentence = f"PostgreSQL refuses it: {kind.__name__}{f' ({code})' if code else ''}{detail}{f' [{place}]' if place else ''}"
    return refused


def _kind_of(kind: type[psycopg.Error]) -> type[Refused]:
    """PostgreSQL's kind of error, which is `Refused` too."""
    return _KINDS.setdefault(kind.__name__, type(kind.__name__, (Refused, kind), {}))


_KINDS: dict[str, type[Refused]] = {}


def _named(failed: psycopg.Error) -> dict[str, str | None]:
    return {"table": failed.diag.table_name, "column": failed.diag.column_name, "constraint": failed.diag.constraint_name}


def _copied(failed: psycopg.Error) -> list[str]:
    """The row and column of a COPY that was refused, which is a place and not a value."""
    found = _COPIED.match(failed.diag.context or "")
    return [f"copied into {found[1]}, row {found[2]}" + (f", column {found[3]}" if found[3] else "")] if found else []


def _of_ours(failed: psycopg.Error) -> list[str]:
    """Where our own code asked for it."""
    frames = [frame for frame in traceback.extract_tb(failed.__traceback__) if Path(frame.filename).is_relative_to(_OURS)]
    return [f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}"] if frames else []
