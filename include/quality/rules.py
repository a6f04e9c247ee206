"""What a contract demands of values and rows, as rules with a name and a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from include.contract import Bound, Column, Contract, IsProduct, RowRule, Within

NOT_NULL = "not_null"
MATCHES = "matches"
ONE_OF = "one_of"
PRODUCT = "product"
NOT_AFTER_FILE = "not_after_file"
WITHIN = "within"
LONGEST = {"characters": "longest", "bytes": "longest_bytes"}  # by the unit of the bound
READABLE = "readable"  # of the whole line: broken as one of fields, quote, encoding


@dataclass(frozen=True, slots=True)
class Rule:
    """One demand on one column; `column` is empty where the line as a whole is meant.

    Attributes:
        broken: what is said of a row that breaks it.
        of: the rule over the row's values that it stands for, or the bound of a text; None of any other.
    """

    column: str
    name: str
    broken: str
    of: RowRule | Bound | None = None


def rules_of(contract: Contract) -> tuple[Rule, ...]:
    """All rules of a contract, in the order in which a row's reasons are listed."""
    unreadable = Rule("", READABLE, "the line cannot be read")
    of_columns = (rule for column in contract.columns for rule in _of_column(column))
    return unreadable, *of_columns, _of_bound("", contract.record), *map(_of_row, contract.rules)


def _of_column(column: Column) -> list[Rule]:
    rules = []
    if not column.null:
        rules.append(Rule(column.name, NOT_NULL, f"{column.name} is empty"))
    rules += [_of_bound(column.name, bound) for bound in column.bounds]
    if column.matches is not None:
        rules.append(Rule(column.name, MATCHES, f"{column.name} {column.says or f'does not match {column.matches}'}"))
    if column.one_of is not None:
        rules.append(Rule(column.name, ONE_OF, f"{column.name} is none of {', '.join(column.one_of)}"))
    return rules


def _of_bound(column: str, bound: Bound) -> Rule:
    return Rule(column, LONGEST[bound.unit], f"{column or 'the record'} {bound.broken}", bound)


def _of_row(rule: RowRule) -> Rule:
    if isinstance(rule, IsProduct):
        return Rule(rule.column, PRODUCT, f"{rule.column} is not {rule.price} times {rule.quantity} to the cent", rule)
    if isinstance(rule, Within):
        return Rule(rule.column, WITHIN, f"{rule.column} is not from {rule.first:%Y-%m-%d} to before {rule.end:%Y-%m-%d}", rule)
    more = f"more than {rule.days} day{'s' * (rule.days != 1)} after" if rule.days else "after"
    return Rule(rule.column, NOT_AFTER_FILE, f"{rule.column} is {more} the file's date", rule)
