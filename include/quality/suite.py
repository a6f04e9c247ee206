"""A contract as a Great Expectations suite, and one validation by it."""

from __future__ import annotations

import functools
import hashlib
import logging
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.contract import Bound, Contract, NotAfterFile, Within
from include.quality.derived import column_of
from include.quality.gx import (
    VERSION,
    BatchDefinition,
    EphemeralDataContext,
    Expectation,
    ExpectationSuite,
    ExpectColumnValuesToBeBetween,
    ExpectColumnValuesToBeInSet,
    ExpectColumnValuesToBeNull,
    ExpectColumnValuesToMatchRegex,
    ExpectColumnValuesToNotBeNull,
    ProgressBarsConfig,
    get_context,
)
from include.quality.records import Ints
from include.quality.rules import MATCHES, NOT_NULL, ONE_OF, READABLE, Rule, rules_of

UNREADABLE = "_unreadable"  # the column in which parse faults reach the suite
_ONE_AT_A_TIME = threading.RLock()  # a batch definition holds the frame it is asked about: two threads would read each other's
_RESULT_FORMAT = {"result_format": "COMPLETE", "exclude_unexpected_values": True, "partial_unexpected_count": 0}


@dataclass(frozen=True)
class Suite:
    """The expectations of one contract, ready to validate frames."""

    expectations: ExpectationSuite
    rules: tuple[Rule, ...]
    frames: BatchDefinition[None]

    @property
    def columns(self) -> tuple[str, ...]:
        """The contract's columns whose values the suite looks at, one by one."""
        return tuple(dict.fromkeys(rule.column for rule in self.rules if rule.column and rule.of is None))

    @functools.cached_property
    def digest(self) -> str:
        """The first 12 hex digits of a sha256 over the expectations and the version of Great Expectations that reads them."""
        described = [(one.expectation_type, sorted(one.configuration.kwargs.items())) for one in self.expectations.expectations]
        return hashlib.sha256(repr((VERSION, described)).encode()).hexdigest()[:12]

    def failing(self, frame: pd.DataFrame) -> Mapping[Rule, Ints]:
        """The positions in a frame, numbered from 0, that break each rule; the suite's answer, in the rules' order."""
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="This pattern is interpreted as a regular expression, and has match groups")
            batch = self.frames.get_batch({"dataframe": frame})
            answer = batch.validate(self.expectations, result_format=_RESULT_FORMAT)
        found = {}
        for result in answer.results:
            config, rows = result.expectation_config, result.result.get("unexpected_index_list")
            if config is None or rows is None:
                raise RuntimeError(f"Great Expectations gave no answer to {config}: {result.exception_info}")
            found[config.kwargs["column"], config.meta["rule"]] = np.asarray(rows, np.int64)
        return {rule: found[looked_at(rule), rule.name] for rule in self.rules}


def looked_at(rule: Rule) -> str:
    """The column of a frame that a rule is about; bounds that are alike share one."""
    if rule.name == READABLE:
        return UNREADABLE
    if isinstance(rule.of, Bound):
        return f"{rule.of.unit}, {rule.of.most} at most"
    return rule.column if rule.of is None else column_of(rule.of)


def shown(rule: Rule) -> str:
    """What people read in its place."""
    return f"{rule.of.unit} of {rule.column or 'the record'}" if isinstance(rule.of, Bound) else looked_at(rule)


def suite_of(contract: Contract) -> Suite:
    """The suite of a contract, built once a process."""
    with _ONE_AT_A_TIME:
        return _built(contract)


@functools.cache
def _built(contract: Contract) -> Suite:
    name = suite_name(contract)
    rules = rules_of(contract)
    expected = {(looked_at(rule), rule.name): expectation(contract, rule, looked_at(rule)) for rule in rules}
    expectations = ExpectationSuite(name=name, expectations=[*expected.values()])
    asset = _context().data_sources.add_or_update_pandas(name).add_dataframe_asset("rows")
    return Suite(_context().suites.add_or_update(expectations), rules, asset.add_batch_definition_whole_dataframe("all"))


def suite_name(contract: Contract) -> str:
    """Names the contract's version and what it says, so that two contracts never share a suite."""
    return f"contract-{contract.version}-{contract.digest}"


def expectation(contract: Contract, rule: Rule, name: str) -> Expectation:
    """The expectation of the column `name` that stands for a rule; those of values skip nulls, so an empty value breaks one rule only."""
    meta = {"column": rule.column, "rule": rule.name}
    if isinstance(rule.of, Bound):
        return ExpectColumnValuesToBeBetween(column=name, max_value=rule.of.most, meta=meta)
    if rule.name == READABLE:
        return ExpectColumnValuesToBeNull(column=name, meta=meta)
    if isinstance(rule.of, NotAfterFile):
        return ExpectColumnValuesToBeBetween(column=name, max_value=rule.of.days, meta=meta)
    if isinstance(rule.of, Within):
        first, end = (int(at.timestamp()) for at in (rule.of.first, rule.of.end))
        return ExpectColumnValuesToBeBetween(column=name, min_value=first, max_value=end - 1, meta=meta)
    if rule.of is not None:
        return ExpectColumnValuesToBeInSet(column=name, value_set=[0], meta=meta)
    column = contract.column(rule.column)
    if rule.name == NOT_NULL:
        return ExpectColumnValuesToNotBeNull(column=name, meta=meta)
    if rule.name == MATCHES:
        return ExpectColumnValuesToMatchRegex(column=name, regex=rf"\A(?:{column.matches})\Z", meta=meta)
    if rule.name == ONE_OF and column.one_of is not None:
        return ExpectColumnValuesToBeInSet(column=name, value_set=list(column.one_of), meta=meta)
    raise ValueError(f"no expectation stands for {rule}")


@functools.cache
def _context() -> EphemeralDataContext:
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    return context
