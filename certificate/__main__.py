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

import json as json_format
import random
import sys
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer

from certificate import airflow, report
from certificate.domain import Domain
from certificate.domains import DOMAINS
from certificate.draw import Draw
from certificate.found import Snapshot
from certificate.places import WEIGHTS
from certificate.report import Certificate, Round
from certificate.rounds import compare, disturbed, undisturbed
from certificate.services import Services, opened
from certificate.stream import Stream
from include.ingestion.errors import SluiceError
from sluice.cli.output import say
from sluice.services.state import State, current_state

MOST_AIRFLOW_BLOWS = 6
AIRFLOW = "airflow"
_EVERY = 12
RESTORE = "restore"
_ALL = (*WEIGHTS, RESTORE, AIRFLOW)


def certify(
    kills: Annotated[
        int, typer.Option(min=1, help="SIGKILLs in all, those of --resume included; errors of the network come on top.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Chooses the stream and the blows; the same seed deals the same blows.")] = 1,
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
    with opened(state, take_down_after=not keep) as services:
        rounds = _Rounds(services, domain, seed, kinds)
        while certificate.kills < kills and certificate.clean:
            number = sum(one.seed == seed for one in certificate.rounds) + 1
            done = rounds.next(number, certificate.by_place(), kills - certificate.kills)
            certificate.rounds.append(done)
            if resume:
                report.append(resume, done)
            say(
                f"round {number}: {sum(done.kills.values())} kills, {sum(done.faults.values())} faults in {done.seconds:.0f} s, "
                f"{'nothing lost, doubled or different' if done.clean else done.first_difference}; {certificate.kills} kills so far"
            )


class _Rounds:
    """Rounds of one seed; the yardsticks are made when they are first needed."""

    def __init__(self, services: Services, domain: Domain, seed: int, kinds: list[str]) -> None:
        self._services = services
        self._domain = domain
        self._seed = seed
        self._kinds = [kind for kind in kinds if kind not in domain.kinds_without]

    @cached_property
    def _stream(self) -> Stream:
        return self._domain.stream(self._seed)

    @cached_property
    def _scheduled_stream(self) -> Stream:
        return self._domain.scheduled(self._seed)

    @cached_property
    def _yardstick(self) -> Snapshot:
        return undisturbed(self._services, self._domain, self._stream)

    @cached_property
    def _scheduled_yardstick(self) -> Snapshot:
        return undisturbed(self._services, self._domain, self._scheduled_stream, archive=False)

    def next(self, number: int, struck: Counter[str], missing: int) -> Round:
        """Every twelfth round is one of Airflow's: such rounds take minutes."""
        others = [kind for kind in self._kinds if kind != AIRFLOW]
        draw = Draw(random.Random(f"{self._seed}/{number}"), struck, others, self._domain.never)
        done = Round(self._domain.name, self._seed, number)
        if AIRFLOW in self._kinds and (not others or number % _EVERY == 0):
            blows = min(MOST_AIRFLOW_BLOWS, missing)
            return airflow.disturbed(self._services, self._scheduled_stream, self._scheduled_yardstick, draw, done, blows, compare)
        blows = min(self._domain.blows, max(4, missing))
        return disturbed(self._services, self._stream, self._yardstick, draw, done, blows)


def main() -> None:
    app = typer.Typer(add_completion=False)
    app.command(help=__doc__)(certify)
    try:
        app()
    except SluiceError as failed:
        say(str(failed))
        sys.exit(failed.exit_code)


if __name__ == "__main__":
    main()
