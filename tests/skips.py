"""In CI a test that is not run fails, unless what it lacks is a thing that no set-up can bring: green means that everything was proven.

`CI` is set by CI systems, and by `.ci/run` where it is missing. Named in pyproject.toml, so that it holds for doctests too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator

import pytest

# Reasons as tests give them. A program that could have been fetched is none of them.
ALLOWED = (
    r"this machine allows no mount namespace, so no small disk can be made",
    r"this file system keeps no user attributes",
)
_NO = ("", "0", "false", "no")


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in _NO


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that was skipped, or a fixture of it."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _fail_if_skipped(report, item.nodeid)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A file that was skipped as a whole."""
    report = yield
    _fail_if_skipped(report, collector.nodeid)
    return report


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport, nodeid: str) -> None:
    if report.outcome != "skipped" or not in_ci():
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not any(re.fullmatch(allowed, reason.removeprefix("Skipped: ")) for allowed in ALLOWED):
        report.outcome = "failed"
        report.longrepr = (
            f"{nodeid} was skipped: {reason.removeprefix('Skipped: ')}\n"
            "In CI every test runs: bring what it lacks, or add the reason to tests/skips.py if nothing can."
        )
