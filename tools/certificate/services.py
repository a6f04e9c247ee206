"""The certificate's own services: killed with SIGKILL, and brought back as an operator would, with what `sluice up` does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import psutil

from include.errors import SluiceError
from sluice.services import process
from sluice.services.catalogue import all_services, without_airflow
from sluice.services.environment import environment
from sluice.services.state import LOOPBACK, State
from sluice.services.supervisor import bring_up, take_down
from tools.certificate.places import Fault, Target
from tools.certificate.toxic import Toxic, ToxicProxy

_NAMES = {Target.SPARK: "spark", Target.POSTGRES: "postgres", Target.S3: "s3"}
_DEATH_SECONDS = 10.0
_TOXICS: Mapping[Target, Toxic] = {
    target: Toxic[target.name.removeprefix("S3_").removeprefix("POSTGRES_")] for target in Target if target.is_network
}


class NothingToKill(SluiceError):
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

    def inject(self, fault: Fault) -> None:
        if fault.target.is_network:
            proxy = self.s3 if fault.target.name.startswith("S3_") else self.postgres
            proxy.arm(_TOXICS[fault.target], fault.hits)
        elif fault.target is Target.WORKER:
            for worker in self._spark_workers():
                worker.kill()
        else:
            name = _NAMES[fault.target]
            leader = process.running(self.state, name)
            if leader is None:
                raise NothingToKill(f"{name} does not run, so it cannot be killed; its log is {self.state.log(name)}")
            leader.kill()
            leader.wait(_DEATH_SECONDS)  # else it may still answer when it is asked whether it has to be brought back
            self._down.add(name)

    def bring_up_airflow(self) -> None:
        bring_up(self.state, all_services(self.state), log=lambda _: None)

    def repair(self) -> None:
        """Calm the network, and bring back what was killed."""
        self.s3.disarm()
        self.postgres.disarm()
        if self._down:
            bring_up(self.state, without_airflow(self.state), log=lambda _: None)
            self._down.clear()
        now = self.environment
        self.postgres.moved(int(now["PGPORT"]))
        self.s3.moved(_s3_port(now))

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


def _s3_port(variables: Mapping[str, str]) -> int:
    return int(variables["AWS_ENDPOINT_URL_S3"].rsplit(":", 1)[-1])


@contextmanager
def opened(state: State, *, take_down_after: bool) -> Iterator[Services]:
    """Services of the certificate's own, brought up in a state directory."""
    with ExitStack() as stack:
        if take_down_after:
            stack.callback(take_down, state, all_services(state), lambda _: None)
        bring_up(state, without_airflow(state), log=lambda _: None)
        yield stack.enter_context(over(state))


@contextmanager
def over(state: State, **changed: str) -> Iterator[Services]:
    """Services that run already, with proxies before them; `changed` are variables that lead elsewhere than theirs."""
    variables = environment(state)
    with ExitStack() as stack:
        s3 = stack.enter_context(ToxicProxy(LOOPBACK, _s3_port(variables)))
        postgres = stack.enter_context(ToxicProxy(variables["PGHOST"], int(variables["PGPORT"])))
        yield Services(state, s3, postgres, changed)
