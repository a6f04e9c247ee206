"""Reconcile: look at the bucket, look at the ledger, make good what can be made good, and leave on record how it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.ingestion.feed import FeedSpec
from include.ingestion.ports import Ports
from include.ingestion.reconcile.arrivals import arrivals
from include.ingestion.reconcile.counted import counted, sums
from include.ingestion.reconcile.derived import derived
from include.ingestion.reconcile.etags import named_by_md5
from include.ingestion.reconcile.finding import Finding, Findings, Severity
from include.ingestion.reconcile.inventory import Inventory
from include.ingestion.reconcile.look import Look, Pass, Scope
from include.ingestion.reconcile.originals import originals
from include.ingestion.reconcile.reports import reports
from include.ingestion.reconcile.stock import ORIGINAL, list_bucket, list_ledger
from include.ingestion.reconcile.tally import Tally
from include.ingestion.reconcile.unreferred import unreferred
from include.ingestion.repair.journal import catch_up
from include.ingestion.run import Run

# Before the ledger's pointers are looked at, and after; each is done with before the next begins.
FIRST: tuple[Pass, ...] = (arrivals,)
THEN: tuple[Pass, ...] = (originals, derived, reports, counted, sums)
LAST: tuple[Pass, ...] = (unreferred,)
_SAID_OF_A_CODE = 20


@dataclass(frozen=True)
class Reconciled:
    """What a reconciliation found. `findings` has the first of each code, `counts` all of them."""

    feed: str
    scope: Scope
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    failures: int
    tallies: tuple[Tally, ...]

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
            "dates": [dataclasses.asdict(tally) for tally in self.tallies],
        }


def reconcile(ports: Ports, spec: FeedSpec, run: Run, scope: Scope) -> Reconciled:
    """Compare the bucket with the ledger, and record it; safe beside runs that ingest.

    A difference that could not be made good is left in the ledger's `failure` too; the caller decides what it means for its own end.

    Raises:
        FeedPaused: something has to be written and a person paused the feed.
        JournalIncomplete: the ledger is behind what was delivered, and the journal cannot bring it there; nothing is compared then.
        EnvironmentFailure: S3 or PostgreSQL does not answer. What was made good stays so; the rest is for the next run.
    """
    catch_up(ports, spec, run)
    findings = Findings()
    with Inventory() as inventory:
        md5_etags = scope.reads and named_by_md5(ports, spec.name)
        look = Look(ports, spec, run, scope, inventory, ports.ledger.at_work(spec), md5_etags)
        arrived, ours = list_bucket(look)
        ports.say(f"reconciling {spec.name} ({scope}): {arrived} objects where files arrive, {ours} objects of ours")
        _go(look, FIRST, findings)
        look = dataclasses.replace(look, at_work=ports.ledger.at_work(spec))
        list_ledger(look)
        _go(look, (*THEN, *ports.results.passes, *LAST), findings)
        tallies = tuple(_tallied(look, findings))
    ports.ledger.record_reconciliation(spec, run, scope.reads, tallies, findings.kept, ports.clock())
    if not findings.ok:
        first = next(finding for finding in findings.kept if finding.fails)
        more = f" (and {findings.failures - 1} more differences)" if findings.failures > 1 else ""
        ports.ledger.record_failure(spec.name, run.run_id, "reconcile", f"{first}{more}")
    return Reconciled(spec.name, scope, tuple(findings.kept), dict(sorted(findings.counts.items())), findings.failures, tallies)


def _go(look: Look, passes: tuple[Pass, ...], findings: Findings) -> None:
    """Run passes one after another; every finding is counted, the first of each code are said."""
    for one in passes:
        for finding in one(look):
            findings.add(finding)
            if findings.counts[finding.code] <= _SAID_OF_A_CODE:
                look.ports.say(str(finding))


def _tallied(look: Look, findings: Findings) -> list[Tally]:
    """One row a date in scope."""
    there = look.inventory.there_by_date(ORIGINAL)
    made = []
    for row in look.ports.ledger.tallies(look.spec, look.scope.date):
        date = row["date"]
        amounts = look.amounts.of(date)
        made.append(
            Tally(
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
