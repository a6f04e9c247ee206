"""What a contract demands of single values, as rules with a name and a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from include.ingestion.contract import Column, Contract

NOT_NULL = "not_null"
MATCHES = "matches"
ONE_OF = "one_of"
READABLE = "readable"  # of the whole line: broken as one of fields, quote, encoding


@dataclass(frozen=True, slots=True)
class Rule:
    """One demand on one column; `column` is empty where the line as a whole is meant."""

    column: str
    name: str
    broken: str


def rules_of(contract: Contract) -> tuple[Rule, ...]:
    """All rules of a contract, in the order in which a row's reasons are listed."""
    return Rule("", READABLE, "the line cannot be read"), *(rule for column in contract.columns for rule in _of_column(column))


def _of_column(column: Column) -> list[Rule]:
    rules = []
    if not column.null:
        rules.append(Rule(column.name, NOT_NULL, f"{column.name} is empty"))
    if column.matches is not None:
        rules.append(Rule(column.name, MATCHES, f"{column.name} does not match {column.matches}"))
    if column.one_of is not None:
        rules.append(Rule(column.name, ONE_OF, f"{column.name} is none of {', '.join(column.one_of)}"))
    return rules
