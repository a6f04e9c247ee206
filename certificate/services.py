"""The certificate's own services: struck with SIGKILL, and brought back as an operator would, with what `sluice up` does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import psutil

from certificate.places import Strike, Target
from certificate.toxic import Fault, ToxicProxy
from include.ingestion.errors import SluiceError
from sluice.services import process
from sluice.services.catalogue import all_services, without_airflow
from sluice.services.environment import environment
from sluice.services.state import LOOPBACK, State
from sluice.services.supervisor import bring_up, take_down

_NAMES = {Target.SPARK: "spark", Target.POSTGRES: "postgres", Target.S3: "s3"}
_DEATH_SECONDS = 10.0
_FAULTS: Mapping[Target, Fault] = {
    target: Fault[target.name.removeprefix("S3_").removeprefix("POSTGRES_")] for target in Target if target.is_fault
}


class NothingToStrike(SluiceError):
    """What was to be killed is not there."""


class Services:
    """Running services, with a proxy before S3 and one before PostgreSQL that the runs go through."""

    def __init__(self, state: State, s3: ToxicProxy, postgres: ToxicProxy, changed: Mapping[str, str]) -> None:
        self.state = state
        self.changed = changed
        self.s3 = s3
        self.postgres = postgres
        self._down: set[str] = set()

    @property
    def environment(self) -> dict[str, str]:
        return {**environment(self.state), **self.changed}

    def strike(self, strike: Strike) -> None:
        """Deal a blow that no run can deal itself."""
        if strike.target.is_fault:
            proxy = self.s3 if strike.target.name.startswith("S3_") else self.postgres
            proxy.arm(_FAULTS[strike.target], strike.hits)
        elif strike.target is Target.WORKER:
            for worker in self._spark_workers():
                worker.kill()
        else:
            name = _NAMES[strike.target]
            leader = process.running(self.state, name)
            if leader is None:
                raise NothingToStrike(f"{name} does not run, so it cannot be killed; its log is {self.state.log(name)}")
            leader.kill()
            leader.wait(_DEATH_SECONDS)  # else it may still answer when it is asked whether it has to be brought back
            self._down.add(name)

    def repair(self) -> None:
        """Calm the network, and bring back what was killed."""
        self.s3.disarm()
        self.postgres.disarm()
        if self._down:
            bring_up(self.state, without_airflow(self.state), say=lambda _: None)
            self._down.clear()
        told = self.environment
        self.postgres.moved(int(told["PGPORT"]))
        self.s3.moved(_port(told))

    def _spark_workers(self) -> list[psutil.Process]:
        """The Python processes that Spark's daemon forked."""
        leader = process.running(self.state, "spark")
        found = []
        for child in leader.children(recursive=True) if leader else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                parent = child.parent()
                if parent is not None and "pyspark.daemon" in parent.cmdline():
                    found.append(child)
        return found


def _port(told: Mapping[str, str]) -> int:
    return int(told["AWS_ENDPOINT_URL_S3"].rsplit(":", 1)[-1])


@contextmanager
def opened(state: State, *, take_down_after: bool) -> Iterator[Services]:
    """Services of the certificate's own, brought up in a state directory."""
    with ExitStack() as stack:
        if take_down_after:
            stack.callback(take_down, state, all_services(state), lambda _: None)
        bring_up(state, without_airflow(state), say=lambda _: None)
        yield stack.enter_context(over(state))


@contextmanager
def over(state: State, **changed: str) -> Iterator[Services]:
    """Services that run already, with proxies before them; `changed` are variables that lead elsewhere than theirs."""
    told = environment(state)
    with ExitStack() as stack:
        s3 = stack.enter_context(ToxicProxy(LOOPBACK, _port(told)))
        postgres = stack.enter_context(ToxicProxy(told["PGHOST"], int(told["PGPORT"])))
        yield Services(state, s3, postgres, changed)
