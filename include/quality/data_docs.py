"""Great Expectations' Data Docs: what the suite found in each of the last files, as pages for people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from include.contract import Contract
from include.files.keys import base_name
from include.quality.gx import (
    VERSION,
    ExpectationSuite,
    ExpectationSuiteIdentifier,
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
    RunIdentifier,
    ValidationResultIdentifier,
    get_context,
)
from include.quality.rules import rules_of
from include.quality.suite import expectation, shown, suite_name


def build_data_docs(folder: Path, contract: Contract, reports: Iterable[Mapping[str, Any]], at: dt.datetime) -> Path:
    """Build a static site with one page a file from the reports that the gate wrote of them, and return its front page.

    Outside the critical path: 0.3 s and some 20 ms a file. Files whose reading stopped have no page, since no suite saw them.

    Args:
        folder: where the site is written; what lies there under other names stays.
        contract: what judged the files.
        reports: `Verdict.report` of each, as JSON gives it back.
        at: the instant shown for the run; the pages are ordered by it.
    """
    context = get_context(mode="ephemeral")
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    for name in context.get_site_names():
        context.delete_data_docs_site(name)
    context.add_data_docs_site("sluice", site)
    expectations = [expectation(contract, rule, shown(rule)) for rule in rules_of(contract)]
    suite = context.suites.add(ExpectationSuite(name=suite_name(contract), expectations=expectations))
    for report in reports:
        if report["expectations"]:
            run = RunIdentifier(run_name=f"seq {report['seq']:08d}", run_time=at)
            file = f"{base_name(report['key'])}.{report['file_id']}"
            page = ValidationResultIdentifier(ExpectationSuiteIdentifier(suite.name), run, file)
            context.validation_results_store.set(page, _result(suite, report, run))
    context.build_data_docs()
    return folder / "index.html"


def _result(suite: ExpectationSuite, report: Mapping[str, Any], run: RunIdentifier) -> ExpectationSuiteValidationResult:
    """The part of the suite's answer that is about one file."""
    found = {(entry["column"], entry["rule"]): entry for entry in report["expectations"]}
    results = []
    for configuration in suite.expectation_configurations:
        entry = found[configuration.meta["column"], configuration.meta["rule"]]
        checked, failed = entry["checked"], entry["failed"]
        results.append(
            ExpectationValidationResult(
                success=failed == 0,
                expectation_config=configuration,
                result={
                    "element_count": checked,
                    "unexpected_count": failed,
                    "unexpected_percent": 100 * failed / checked if checked else 0.0,
                },
                exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
            )
        )
    passed = sum(bool(result.success) for result in results)
    statistics = {
        "evaluated_expectations": len(results),
        "successful_expectations": passed,
        "unsuccessful_expectations": len(results) - passed,
        "success_percent": 100 * passed / len(results),
    }
    return ExpectationSuiteValidationResult(
        success=passed == len(results),
        results=results,
        suite_name=suite.name,
        statistics=statistics,
        meta={"run_id": run, "great_expectations_version": VERSION, "batch_spec": {"data_asset_name": report["key"]}},
    )
