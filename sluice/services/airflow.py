"""Airflow's four components, their database, their settings, and the three connections the DAGs use."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from typing import Any, ClassVar

from include.inputs import FOLDER, HOSTS, PLACES
from sluice.services import process
from sluice.services.addresses import AIRFLOW_PASSWORD, S3_ACCESS_KEY, S3_SECRET_KEY, SPARK_TOKEN, airflow_url, password_name, s3_endpoint
from sluice.services.errors import ServiceFailed, Unhealthy
from sluice.services.postgres import connect
from sluice.services.process import Launch, clean_environment
from sluice.services.service import Service
from sluice.services.state import (
    AIRFLOW_DATABASE,
    AIRFLOW_DATABASE_USER,
    AIRFLOW_LOGIN,
    BUCKET,
    LEDGER_DATABASE,
    LEDGER_USER,
    LOOPBACK,
    REGION,
    State,
)

PARALLELISM = 6
_migrating = threading.Lock()


class AirflowComponent(Service):
    """One of the processes Airflow consists of; all four share their settings."""

    needs = ("postgres",)
    component: ClassVar[str]
    arguments: ClassVar[tuple[str, ...]] = ()
    health_name: ClassVar[str]
    start_timeout = 240.0  # twenty seconds on a quiet machine
    answer_timeout = 90.0  # all are asked through the api-server, which may be starting itself
    stop_timeout = 10.0

    def prepare(self) -> None:
        users = json.dumps({AIRFLOW_LOGIN: self.state.secret(AIRFLOW_PASSWORD)})
        with _migrating:
            self.state.write_private(self.state.folder("secrets") / "airflow_users.json", users)
            migrate(self.state)

    def launch(self) -> Launch:
        command = [sys.executable, "-m", "airflow", self.component, *self.arguments]
        return Launch(command, environment(self.state), self.state.folder("airflow"))

    def probe(self) -> None:
        """Airflow's own health endpoint, and a heartbeat since this process and its database were started.

        A component that was killed a moment ago, or that is about to give up because its database was, still counts as healthy there.
        """
        health = ask_health(self.state)[self.health_name]
        if health["status"] != "healthy":
            raise Unhealthy(f"Airflow's health endpoint says {health['status']}")
        heartbeat = health.get(f"latest_{self.health_name}_heartbeat")
        started = [leader.create_time() for name in (self.name, *self.needs) if (leader := process.running(self.state, name))]
        if heartbeat is not None and datetime.fromisoformat(heartbeat).timestamp() < max(started, default=0.0):
            raise Unhealthy("no heartbeat since it or its database was started")


class ApiServer(AirflowComponent):
    """The UI, the REST API, and the API that running tasks talk to."""

    name = "airflow-api-server"
    port_name = "airflow"
    component = "api-server"
    health_name = "metadatabase"


class Scheduler(AirflowComponent):
    """Decides what runs when, and runs it in its forks (LocalExecutor)."""

    name = "airflow-scheduler"
    component = "scheduler"
    arguments = ("--skip-serve-logs",)
    health_name = "scheduler"


class DagProcessor(AirflowComponent):
    """Reads the DAG files."""

    name = "airflow-dag-processor"
    component = "dag-processor"
    health_name = "dag_processor"


class Triggerer(AirflowComponent):
    """Watches for arriving files."""

    name = "airflow-triggerer"
    component = "triggerer"
    arguments = ("--skip-serve-logs", "--capacity", "100")
    health_name = "triggerer"
    polite_to_children = True  # else it waits ten seconds for a child that would have gone at once


def ask_health(state: State) -> dict[str, dict[str, Any]]:
    """The answer of `/api/v2/monitor/health`."""
    connection = HTTPConnection(LOOPBACK, state.port("airflow"), timeout=10)
    try:
        connection.request("GET", "/api/v2/monitor/health")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        raise Unhealthy(f"Airflow's api-server does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise Unhealthy(f"Airflow's health endpoint answers {answer.status}")
    components: dict[str, dict[str, Any]] = json.loads(body)
    return components


def migrate(state: State) -> None:
    """Bring Airflow's database to the installed version; the database itself remembers which one it has."""
    wanted = f"migrated by apache-airflow {version('apache-airflow')}"
    with connect(state, AIRFLOW_DATABASE, AIRFLOW_DATABASE_USER, autocommit=True) as database:
        remembered = "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()"
        if database.execute(remembered).fetchone() == (wanted,):
            return
        log = state.log("airflow-migrate")
        with log.open("ab") as output:
            ended = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env=clean_environment() | environment(state),
                cwd=state.folder("airflow"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
        if ended.returncode != 0:
            raise ServiceFailed("airflow", f"`airflow db migrate` ended with code {ended.returncode}", log)
        database.execute(f"comment on database {AIRFLOW_DATABASE} is '{wanted}'")


def environment(state: State) -> dict[str, str]:
    """Everything Airflow is told: settings, connections, where the project is."""
    settings = {
        f"AIRFLOW__{section}__{name}".upper(): value for section, options in _settings(state).items() for name, value in options.items()
    }
    return {
        "AIRFLOW_HOME": str(state.folder("airflow")),
        "PYTHONPATH": str(state.project / "config"),
        "PYTHONWARNINGS": "ignore:GitWildMatchPattern",  # Airflow's own, at the top of every task's log
        "GX_ANALYTICS_ENABLED": "false",
        "SLUICE_STATE": str(state.root),
        "LANG": "C.UTF-8",
        **settings,
        **connections(state),
        FOLDER: str(state.folder("input")),
        **{name: os.environ[name] for name in (FOLDER, PLACES, HOSTS) if name in os.environ},
    }


def connections(state: State) -> dict[str, str]:
    """The connections by which DAGs find S3, the ledger and Spark.

    One that the user's environment defines wins: that is how real AWS, a real database or a real cluster comes in.
    """
    defined = {
        "sluice_s3": {
            "conn_type": "aws",
            "login": state.secret(S3_ACCESS_KEY),
            "password": state.secret(S3_SECRET_KEY),
            "extra": {
                "endpoint_url": s3_endpoint(state),
                "region_name": REGION,
                "service_config": {"s3": {"bucket_name": BUCKET}},
            },
        },
        "sluice_ledger": {
            "conn_type": "postgres",
            "host": LOOPBACK,
            "port": state.port("postgres"),
            "schema": LEDGER_DATABASE,
            "login": LEDGER_USER,
            "password": state.secret(password_name(LEDGER_USER)),
        },
        "sluice_spark": {
            "conn_type": "spark_connect",
            "host": "sc://localhost",  # with 127.0.0.1 the client speaks TLS
            "port": state.port("spark"),
            "password": state.secret(SPARK_TOKEN),
        },
    }
    named = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in defined.items()}
    users_own = clean_environment()
    return {name: users_own.get(name, connection) for name, connection in named.items()}


def _settings(state: State) -> dict[str, dict[str, str]]:
    project = state.project
    login = f"{AIRFLOW_DATABASE_USER}:{state.secret(password_name(AIRFLOW_DATABASE_USER))}"
    database = f"{login}@{LOOPBACK}:{state.port('postgres')}/{AIRFLOW_DATABASE}"
    return {
        "core": {
            "dags_folder": str(project / "dags"),
            "plugins_folder": str(project / "plugins"),
            "load_examples": "False",
            "dags_are_paused_at_creation": "True",
            "executor": "LocalExecutor",
            "parallelism": str(PARALLELISM),  # the default of 32 forks 32 workers
            "mp_start_method": "fork",  # what the scheduler preloads reaches its tasks by forking
            "hostname_callable": "loopback.hostname",
            "fernet_key": state.fernet_key(),
            "execution_api_server_url": f"{airflow_url(state)}/execution/",
            "simple_auth_manager_users": f"{AIRFLOW_LOGIN}:admin",
            "simple_auth_manager_all_admins": "False",
            "simple_auth_manager_passwords_file": str(state.folder("secrets") / "airflow_users.json"),
            "min_serialized_dag_update_interval": "5",
        },
        "database": {
            "sql_alchemy_conn": f"postgresql+psycopg2://{database}",
            "sql_alchemy_conn_async": f"postgresql+asyncpg://{database}",
            "check_migrations": "False",  # `sluice up` has just done it
        },
        "api": {
            "host": LOOPBACK,
            "port": str(state.port("airflow")),
            "workers": "1",
            "base_url": airflow_url(state),
            "instance_name": "Sluice",
            "secret_key": state.secret("airflow_secret_key"),
        },
        "api_auth": {"jwt_secret": state.secret("airflow_jwt_secret", lambda: secrets.token_hex(32))},
        "scheduler": {
            # Ten tasks in sequence: 3.0 s with 0.1 instead of 11.9, for a quarter of a core (measured 2026-11).
            "scheduler_idle_sleep_time": os.environ.get("SLUICE_SCHEDULER_IDLE_SECONDS", "0.1"),
            "enable_health_check": "False",
            "task_instance_heartbeat_timeout": "60",  # a task whose scheduler was killed is noticed in a minute, not in five
            "orphaned_tasks_check_interval": "30",
        },
        "dag_processor": {
            "refresh_interval": "10",
            "bundle_refresh_check_interval": "2",
            "stale_dag_threshold": "60",
            # A file that was changed is read at once, and so is that of a DAG that was unpaused (plugins/): the rest may wait.
            # Idle this takes 6 % of a core; the default of 30 takes 16, and 10 would take 40 (2026-11).
            "min_file_process_interval": "120",
        },
        # No log server runs, since Airflow's binds all interfaces; 9 is nobody's port, where the default may be another Airflow's.
        "logging": {"colored_console_log": "False", "worker_log_server_port": "9", "trigger_log_server_port": "9"},
        "openlineage": {"disabled": "True"},
    }
