"""Great Expectations, as this project uses it: on pandas frames. Whoever needs it imports it from here.

Imported as it is, it costs 4.7 s of CPU and 339 MB; without other engines and what only its plots, statistical tests and JSON schemas need,
2.4 s and 183 MB (1.24.1, compiled, whole process, 2026-11-30). Functions of it that use what is late import it then.
"""

from __future__ import annotations

import os

from include.quality.lean_import import lean_import

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read once, when great_expectations is imported
lean_import(
    "great_expectations",
    absent=("google", "psycopg2", "py4j", "pyspark", "sqlalchemy"),
    late=("altair", "jsonschema", "mistune", "scipy", "scipy.stats"),
)

from great_expectations import ExpectationSuite, __version__, get_context
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.data_context.types.resource_identifiers import ExpectationSuiteIdentifier, ValidationResultIdentifier
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
from great_expectations.expectations.core.expect_column_values_to_be_null import ExpectColumnValuesToBeNull
from great_expectations.expectations.core.expect_column_values_to_match_regex import ExpectColumnValuesToMatchRegex
from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull
from great_expectations.expectations.expectation import Expectation

VERSION = __version__

__all__ = [
    "VERSION",
    "BatchDefinition",
    "EphemeralDataContext",
    "ExpectColumnValuesToBeBetween",
    "ExpectColumnValuesToBeInSet",
    "ExpectColumnValuesToBeNull",
    "ExpectColumnValuesToMatchRegex",
    "ExpectColumnValuesToNotBeNull",
    "Expectation",
    "ExpectationSuite",
    "ExpectationSuiteIdentifier",
    "ExpectationSuiteValidationResult",
    "ExpectationValidationResult",
    "ProgressBarsConfig",
    "RunIdentifier",
    "ValidationResultIdentifier",
    "get_context",
]
