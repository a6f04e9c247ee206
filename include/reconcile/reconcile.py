"""Reconcile: look at the bucket, look at the ledger, make good what can be made good, and leave on record how it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.feed import FeedSpec
from include.pipeline.journal import catch_up
from include.pipeline.ports import Ports
from include.reconcile.arrivals import arrivals
from include.reconcile.checks import Checks, DailyTotals
from include.reconcile.context import Auditor, Pass, ReconcileContext, Scope, named_by_md5
from include.reconcile.counted import counted, sums
from include.reconcile.derived import derived
from include.reconcile.finding import Finding, Findings, Severity
from include.reconcile.inventory import Inventory
from include.reconcile.originals import originals
from include.reconcile.reports import reports
from include.reconcile.stock import ORIGINAL, list_bucket, list_ledger
from include.reconcile.unreferred import unreferred
from include.run import Run

# Before the ledger's pointers are looked at, and after; each is done with before the next begins.
FIRST: tuple[Pass, ...] = (arrivals,)
THEN: tuple[Pass, ...] = (originals, derived, reports, counted, sums)
LAST: tuple[Pass, ...] = (unreferred,)
_LOGGED_OF_A_CODE = 20


@dataclass(frozen=True)
class Reconciled:
    """What a reconciliation found. `findings` has the first of each code, `counts` all of them."""

    feed: str
    scope: Scope
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    failures: int
    daily_totals: tuple[DailyTotals, ...]

    @property
    def ok(self) -> bool:
        return not self.failures

    def as_json(self) -> dict[str, Any]:
        """For programs: everything, findings with their severity."""
        return {
            "feed": self.feed,
            "scope": str(self.scope),
            "ok": self.ok,
            "failures": self.failures,
            "counts": dict(self.counts),
            "findings": [dataclasses.asdict(one) | {"severity": one.severity} for one in self.findings],
            "dates": [dataclasses.asdict(totals) for totals in self.daily_totals],
        }


def reconcile(ports: Ports, auditor: Auditor, spec: FeedSpec, run: Run, scope: Scope) -> Reconciled:
    """Compare the bucket with the ledger, and record it; safe beside runs that ingest.

    A difference that could not be made good is left in the ledger's `failure` too; the caller decides what it means for its own end.

    Raises:
        FeedPaused: something has to be written and a person paused the feed.
        JournalIncomplete: the ledger is behind what was delivered, and the journal cannot bring it there; nothing is compared then.
        EnvironmentFailure: S3 or PostgreSQL does not answer. What was made good stays so; the rest is for the next run.
    """
    catch_up(ports, spec, run)
    checks = Checks(ports.ledger.session)
    findings = Findings()
    with Inventory() as inventory:
        md5_etags = scope.reads and named_by_md5(ports, spec.name)
        context = ReconcileContext(ports, auditor, checks, spec, run, scope, inventory, checks.at_work(spec), md5_etags)
        arrived, ours = list_bucket(context)
        ports.log(f"reconciling {spec.name} ({scope}): {arrived} objects where files arrive, {ours} objects of ours")
        _go(context, FIRST, findings)
        context = dataclasses.replace(context, at_work=checks.at_work(spec))
        list_ledger(context)
        _go(context, (*THEN, *auditor.passes, *LAST), findings)
        daily_totals = tuple(_daily_totals(context, findings))
    checks.record(spec, run, scope.reads, daily_totals, findings.kept, ports.clock())
    if not findings.ok:
        first = next(finding for finding in findings.kept if finding.fails)
        more = f" (and {findings.failures - 1} more differences)" if findings.failures > 1 else ""
        ports.ledger.admin.record_failure(spec.name, run.run_id, "reconcile", f"{first}{more}")
    return Reconciled(spec.name, scope, tuple(findings.kept), dict(sorted(findings.counts.items())), findings.failures, daily_totals)


def _go(context: ReconcileContext, passes: tuple[Pass, ...], findings: Findings) -> None:
    """Run passes one after another; every finding is counted, the first of each code are said."""
    for one in passes:
        for finding in one(context):
            findings.add(finding)
            if findings.counts[finding.code] <= _LOGGED_OF_A_CODE:
                context.ports.log(str(finding))


def _daily_totals(context: ReconcileContext, findings: Findings) -> list[DailyTotals]:
    """One row a date in scope."""
    there = context.inventory.there_by_date(ORIGINAL)
    made = []
    for row in context.checks.daily_totals(context.spec, context.scope.date):
        date = row["date"]
        amounts = context.amounts.of(date)
        made.append(
            DailyTotals(
                **row,
                objects=there.get(date, 0),
                amount_in=amounts and amounts[0],
                amount_out=amounts and amounts[1],
                amount_rejected=amounts and amounts[2],
                findings=findings.by_date[date],
                ok=not findings.failing[date],
            )
        )
    return made


def worst_first(findings: tuple[Finding, ...]) -> list[Finding]:
    """Differences before notes, those still open before those made good, else in the order in which they were found."""
    return sorted(findings, key=lambda one: (one.severity is Severity.NOTE, not one.fails))
