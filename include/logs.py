"""What logs may say: no secret, and no value of a row, whoever writes the line.

Our own sentences name files, lines, columns and rules; a rejected row itself is in `rejects.csv`. What other libraries say of an error
may quote the cell that they failed on, so of their errors the type and the place are kept and the text is left out.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import PurePath
from types import TracebackType
from typing import Any

from include.errors import Refused, SluiceError

SHORTEST_SECRET = 5  # a shorter one would be found in any text
HIDDEN = "***"
# These see cells, and put them into what they log.
_SEES_ROWS = frozenset(
    {
        *("DataFrameQueryContextLogger", "SQLQueryContextLogger", "great_expectations", "numpy", "pandas", "psycopg", "py4j", "pyarrow"),
        *("pydantic", "pymysql", "pyspark", "sqlalchemy"),
    }
)
# What Python itself says of code and never of data; of an OSError only what has an errno, and so was said by the system.
_OF_CODE = (AttributeError, ImportError, MemoryError, ModuleNotFoundError, NameError, RecursionError)

_secrets: set[str] = set()

Log = Callable[[str], None]


class RedactedError(SluiceError):
    """Another library's error, in the same place of a chain and with the same traceback, without its text."""


class RedactingFilter(logging.Filter):
    """Takes secrets and values of rows out of every record, of whatever logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.name).partition(".")[0] in _SEES_ROWS:
            record.msg, record.args = f"what {record.name} says at {record.module}:{record.lineno} may quote rows and is left out", ()
        elif isinstance(record.args, tuple):
            record.args = tuple(described(value) if isinstance(value, Exception) else value for value in record.args)
        if isinstance(record.msg, Exception):
            record.msg = described(record.msg)
        if record.exc_info and record.exc_info[1] is not None:
            error = redacted(record.exc_info[1])
            record.exc_info = (type(error), error, error.__traceback__)
        line = _formatted(record)
        clean = without_secrets(line)
        if clean != line:
            record.msg, record.args = clean, ()
        return True


def install() -> None:
    """Put the filter in, once a process: at the making of records, since handlers come and go with whoever sets up logging.

    An error that nobody catches ends in its traceback, and goes the same way.
    """
    plain = logging.getLogRecordFactory()
    if isinstance(plain, _Records):
        return
    logging.setLogRecordFactory(_Records(plain))
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def hide(*secrets: str | None) -> None:
    """Remember what must not be read anywhere; whoever reads settings says so."""
    _secrets.update(secret for secret in secrets if secret and len(secret) >= SHORTEST_SECRET)


def without_secrets(text: str) -> str:
    """The text with every known secret hidden.

    >>> hide("correct-horse", "abc")
    >>> without_secrets("pw=correct-horse abc")
    'pw=*** abc'
    """
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def described(error: BaseException) -> str:
    """An error in words that hold no value of a row: its own sentence where it is ours, else its kind and where it was raised.

    >>> described(ValueError("C1093826151"))
    'ValueError'
    """
    if isinstance(error, SluiceError):
        return str(error)
    if isinstance(error, Refused):
        return error.sentence
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    line = f": {error}" if _is_of_code(error) else ""
    return f"{type(error).__name__}{where}{line}"


def redacted(error: BaseException) -> BaseException:
    """The error and all that led to it, with the text of others' errors left out; types, places and our own sentences stay."""
    return _redacted(error, {})


def _redacted(error: BaseException, known: dict[int, BaseException]) -> BaseException:
    if id(error) in known:
        return known[id(error)]
    kept = isinstance(error, SluiceError) or not isinstance(error, Exception) or _is_of_code(error)
    shown = error if kept else RedactedError(described(error)).with_traceback(error.__traceback__)
    known[id(error)] = known[id(shown)] = shown
    cause, context, suppressed = error.__cause__, error.__context__, error.__suppress_context__
    shown.__cause__ = None if cause is None else _redacted(cause, known)
    shown.__context__ = None if context is None else _redacted(context, known)
    shown.__suppress_context__ = suppressed
    return shown


def _is_of_code(error: BaseException) -> bool:
    return type(error) in _OF_CODE or (isinstance(error, OSError) and type(error).__module__ == "builtins" and error.errno is not None)


def _formatted(record: logging.LogRecord) -> str:
    """The line; one whose arguments do not fit, which Python would tell with all of them, is said to be so."""
    try:
        return record.getMessage()
    except (KeyError, TypeError, ValueError):
        record.msg, record.args = f"{record.module}:{record.lineno} logs a line whose arguments do not fit", ()
        return str(record.msg)


class _Records:
    """Makes records as they were made before, and filters them."""

    def __init__(self, plain: Callable[..., logging.LogRecord]) -> None:
        self._plain = plain
        self._filter = RedactingFilter()

    def __call__(self, *args: Any, **named: Any) -> logging.LogRecord:
        record = self._plain(*args, **named)
        self._filter.filter(record)
        return record


def _uncaught(_: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    shown = redacted(error.with_traceback(trace))
    sys.stderr.write(without_secrets("".join(traceback.format_exception(shown))))


def _uncaught_in_thread(shown: threading.ExceptHookArgs) -> None:
    if shown.exc_value is not None and not issubclass(shown.exc_type, SystemExit):
        _uncaught(shown.exc_type, shown.exc_value, shown.exc_traceback)
