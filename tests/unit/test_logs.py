"""What logs may say: every record, of whatever logger, and every traceback is without secrets and without values of rows."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import traceback
import uuid
from collections.abc import Iterator

import pytest

from include import logs
from include.errors import EnvironmentFailure, UsageError
from sluice.services.state import PROJECT

SPARKS = "SQLQueryContextLogger"


@pytest.fixture
def canary() -> str:
    """Known at run time alone: tracebacks quote lines of code."""
    return f"canary{uuid.uuid4().hex}"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged, as plain lines.

    Not caplog: once Spark's client has told of an error, its loggers do not propagate, pytest hands them its handler, and they make it
    write JSON.
    """
    monkeypatch.setattr(logging.getLogger(SPARKS), "propagate", True)
    before = logging.getLogRecordFactory(), sys.excepthook
    root, handler = logging.getLogger(), logging.StreamHandler(io.StringIO())
    level = root.level
    logs.install()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.stream
    root.setLevel(level)
    root.removeHandler(handler)
    logging.setLogRecordFactory(before[0])
    sys.excepthook = before[1]


def fails(value: str) -> None:
    int(value)


def test_of_anothers_error_the_kind_and_the_place_are_logged(log: io.StringIO, canary: str) -> None:
    try:
        fails(canary)
    except ValueError as failed:
        logging.getLogger("anyone").warning("went wrong: %s", failed, exc_info=True)
    assert "went wrong: ValueError at test_logs.py:" in log.getvalue()
    assert "int(value)" in log.getvalue()
    assert canary not in log.getvalue()


def test_all_that_led_to_an_error_of_ours_is_told_in_the_same_way(log: io.StringIO, canary: str) -> None:
    try:
        try:
            try:
                fails(canary)
            except ValueError as first:
                raise KeyError(canary) from first
        except KeyError as second:
            raise EnvironmentFailure("S3", "no answer") from second
    except EnvironmentFailure as failed:
        logging.getLogger("sluice").warning("%s", failed, exc_info=True)
    assert log.getvalue().count("S3: no answer. Nothing is lost") == 2
    assert "RedactedError: KeyError at test_logs.py" in log.getvalue()
    assert "RedactedError: ValueError at test_logs.py" in log.getvalue()
    assert canary not in log.getvalue()


def test_a_library_that_sees_rows_says_where_it_said_something(log: io.StringIO, canary: str) -> None:
    for name in ("great_expectations.validator.metrics", "pyspark.sql.connect", SPARKS):
        logging.getLogger(name).warning(f"cannot compute {canary}")  # noqa: G004
    assert canary not in log.getvalue()
    assert "what great_expectations.validator.metrics says at test_logs:" in log.getvalue()


def test_our_own_sentences_and_other_libraries_lines_stay_as_they_are(log: io.StringIO) -> None:
    logging.getLogger("sluice").info("%s: %d rows", "a.csv", 3)
    logging.getLogger("botocore").warning("retrying %s", {"key": "landing/a.csv"})
    assert log.getvalue().splitlines() == ["a.csv: 3 rows", "retrying {'key': 'landing/a.csv'}"]


def test_a_secret_is_hidden_wherever_it_stands(log: io.StringIO, canary: str) -> None:
    logs.hide(canary, None, "")
    logging.getLogger("urllib3").info("GET http://a:%s@host/", canary)
    logging.getLogger("sluice").error("refused", exc_info=UsageError("no"))
    assert "GET http://a:***@host/" in log.getvalue()
    assert canary not in log.getvalue()


def test_a_line_whose_arguments_do_not_fit_is_not_told_with_its_arguments(log: io.StringIO, canary: str) -> None:
    logging.getLogger("anyone").warning("%d rows", canary)
    assert "logs a line whose arguments do not fit" in log.getvalue()
    assert canary not in log.getvalue()


def test_a_record_made_of_another_is_made(log: io.StringIO) -> None:
    """As structlog's formatter does, with a record that has no name at first."""
    assert logging.makeLogRecord({"name": "anyone", "msg": "as it is"}).getMessage() == "as it is"


@pytest.mark.parametrize(
    ("raised", "said"), [(ModuleNotFoundError("no module x"), "no module x"), (FileNotFoundError(2, "none", "a"), "'a'")]
)
def test_what_is_said_of_code_or_by_the_system_stays(raised: Exception, said: str) -> None:
    assert said in logs.described(raised)
    assert logs.redacted(raised) is raised


def test_errors_that_lead_to_each_other_come_to_an_end(canary: str) -> None:
    first, second = ValueError(canary), KeyError(canary)
    first.__context__, second.__context__ = second, first
    told = logs.redacted(first)
    assert canary not in "".join(traceback.format_exception(told))
    assert str(told) == "ValueError"


@pytest.mark.parametrize("where", ["raise ValueError(value)", "t = threading.Thread(target=int, args=(value,)); t.start(); t.join()"])
def test_an_error_that_nobody_catches_ends_in_a_traceback_without_its_text(where: str, canary: str) -> None:
    program = f"import sys, threading\nfrom include import logs\nlogs.install()\nvalue = sys.argv[1]\n{where}\n"
    done = subprocess.run([sys.executable, "-c", program, canary], capture_output=True, text=True, check=False, cwd=PROJECT)
    assert "Traceback (most recent call last)" in done.stderr
    assert "RedactedError: ValueError" in done.stderr
    assert canary not in done.stderr
