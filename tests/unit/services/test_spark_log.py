"""What of a line of Spark's is left by the layout of its log: tried with the expression that is in it."""

from __future__ import annotations

import re

import pytest

from spark_jobs.configuration import LOG_CONF

STACK = "\n\tat org.apache.spark.scheduler.Task.run(Task.scala:147)\n"


def layout() -> str:
    """The line of the pattern, as Java reads a properties file."""
    (line,) = [
        one for one in (LOG_CONF / "log4j2.properties").read_text().splitlines() if one.startswith("appender.console.layout.pattern")
    ]
    return line.partition(" = ")[2].replace("\\\\", "\\")


def logged(said: str) -> str:
    found = re.fullmatch(r"%d\{[^}]*\} %p %c\{1\}: %replace\{%m %xEx\}\{(.*)\}\{\$1\}%n", layout())
    assert found is not None
    assert not set("{}") & set(found[1]), "log4j would end the expression there"
    return re.sub(found[1].replace(r"\z", r"\Z"), r"\1", said)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Running task 0.0 in stage 0.0 (TID 0)", "Running task 0.0 in stage 0.0 (TID 0)"),
        (
            f"Lost task 0.0: org.apache.spark.api.python.PythonException: Traceback:\n  File 'a'\nValueError: C1\n{STACK}",
            f"Lost task 0.0: org.apache.spark.api.python.PythonException\n{STACK}",
        ),
        (
            f"failed java.lang.RuntimeException: C1{STACK}Caused by: java.lang.NumberFormatException: For input string: C1{STACK}",
            f"failed java.lang.RuntimeException{STACK}Caused by: java.lang.NumberFormatException{STACK}",
        ),
        (
            "Executor is trying to kill task 1.3, reason: Stage cancelled: [CAST_INVALID_INPUT] The value 'C1'.\n== SQL ==\nselect 'C1'",
            "Executor is trying to kill task 1.3, reason: Stage cancelled: [CAST_INVALID_INPUT]",
        ),
    ],
)
def test_of_an_error_the_types_the_condition_and_the_stack_stay(said: str, left: str) -> None:
    assert logged(said) == left
