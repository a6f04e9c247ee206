"""`make crash-certificate`: kill whatever works, again and again, and compare the results with those of an undisturbed run.

Each round is a history of its own: a small stream of files with all kinds of faults in it lands wave by wave and is ingested, while
the ingest process, the producer, PostgreSQL, the S3 server, Spark or one of its workers is killed with SIGKILL before, after or at a
random instant after one of their effects, or the network to S3 or PostgreSQL misbehaves. What was killed is brought back with what
`sluice up` does, and the ingest is run again. At the end of the round files, events, accepted rows, everything published of them
and objects must be those of the undisturbed run.

A place is `what, when effect`: `ingest process, before publish commit` is a run that died when everything was written and nothing
committed. `lost`, `doubled` and `different` count things of the results; all three are 0 or the exit code is 1.
"""

from __future__ import annotations

import functools
import json as json_format
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from include.errors import SluiceError
from sluice.cli.output import log
from sluice.services.state import State, current_state
from tools.certificate import airflow, report
from tools.certificate.domain import Domain
from tools.certificate.domains import DOMAINS
from tools.certificate.places import WEIGHTS, Draw
from tools.certificate.records import Snapshot
from tools.certificate.report import Certificate, Round
from tools.certificate.rounds import disturbed, undisturbed
from tools.certificate.services import Services, opened
from tools.certificate.stream import Stream

MOST_AIRFLOW_FAULTS = 6
AIRFLOW = "airflow"
_EVERY = 12
RESTORE = "restore"
_ALL = (*WEIGHTS, RESTORE, AIRFLOW)


def certify(
    kills: Annotated[
        int, typer.Option(min=1, help="SIGKILLs in all, those of --resume included; errors of the network come on top.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Chooses the stream and the faults; the same seed deals the same faults.")] = 1,
    feed: Annotated[str, typer.Option(help=f"A feed, or a group of feeds: one of {', '.join(DOMAINS)}.")] = "transactions",
    only: Annotated[str, typer.Option(help=f"Some of {','.join(_ALL)}; otherwise all, the costly ones seldom.")] = ",".join(_ALL),
    resume: Annotated[
        Path | None,
        typer.Option(help="A file of rounds, one JSON line each: those in it count, new ones are added. Ctrl-C loses one round."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the certificate as JSON.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="The services to kill: a folder of the certificate's own [default: .sluice/certificate].")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the services up at the end: the next run starts sooner.")] = False,
) -> None:
    """Kill and compare, until so many have been killed. Exit code 1: something was lost, doubled or different."""
    kinds = [kind for kind in only.split(",") if kind]
    if unknown := [kind for kind in kinds if kind not in _ALL]:
        raise typer.BadParameter(f"no kind {', '.join(unknown)}; there are: {', '.join(_ALL)}")
    if feed not in DOMAINS:
        raise typer.BadParameter(f"no certificate of {feed!r}; there are: {', '.join(DOMAINS)}")
    certificate = Certificate(report.read(resume) if resume else [])
    try:
        _go_on(
            certificate,
            kills,
            seed,
            DOMAINS[feed],
            kinds,
            resume,
            State(state.resolve() if state else current_state().root / "certificate"),
            keep,
        )
    finally:
        print(certificate.text())
        if json is not None:
            json.write_text(json_format.dumps(certificate.to_json(), indent=2) + "\n")
    if not certificate.clean:
        raise typer.Exit(1)


def _go_on(
    certificate: Certificate, kills: int, seed: int, domain: Domain, kinds: list[str], resume: Path | None, state: State, keep: bool
) -> None:
    kinds = [kind for kind in kinds if kind not in domain.kinds_without]
    with opened(state, take_down_after=not keep) as services:
        while certificate.kills < kills and certificate.clean:
            done = Round(domain.name, seed, sum(one.seed == seed for one in certificate.rounds) + 1)
            _play(services, domain, done, kinds, certificate.by_place(), kills - certificate.kills)
            certificate.rounds.append(done)
            if resume:
                report.append(resume, done)
            log(
                f"round {done.number}: {sum(done.kills.values())} kills, {sum(done.faults.values())} faults in {done.seconds:.0f} s, "
                f"{'nothing lost, doubled or different' if done.clean else done.first_difference}; {certificate.kills} kills so far"
            )


def _play(services: Services, domain: Domain, done: Round, kinds: list[str], injected: Counter[str], missing: int) -> None:
    """Every twelfth round is one of Airflow's: such rounds take minutes."""
    others = [kind for kind in kinds if kind != AIRFLOW]
    draw = Draw(random.Random(f"{done.seed}/{done.number}"), injected, others, domain.never)
    scheduled = AIRFLOW in kinds and (not others or done.number % _EVERY == 0)
    stream, baseline = _baseline(services, domain.name, done.seed, scheduled)
    if scheduled:
        airflow.disturbed(services, stream, baseline, draw, done, min(MOST_AIRFLOW_FAULTS, missing))
    else:
        disturbed(services, stream, baseline, draw, done, min(domain.faults, max(4, missing)))


@functools.cache
def _baseline(services: Services, domain: str, seed: int, scheduled: bool) -> tuple[Stream, Snapshot]:
    """A stream, made when it is first needed, and what it comes to undisturbed."""
    stream = (DOMAINS[domain].scheduled if scheduled else DOMAINS[domain].stream)(seed)
    return stream, undisturbed(services, DOMAINS[domain], stream, archive=not scheduled)


def main() -> None:
    app = typer.Typer(add_completion=False)
    app.command(help=__doc__)(certify)
    try:
        app()
    except SluiceError as failed:
        log(str(failed))
        sys.exit(failed.exit_code)


if __name__ == "__main__":
    main()
