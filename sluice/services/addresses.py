"""Where the embedded services answer and what opens them; all that a command asks of them, which has nothing to do with their processes."""

from __future__ import annotations

from sluice.services.state import LOOPBACK, State

S3_ACCESS_KEY = "s3_access_key"
S3_SECRET_KEY = "s3_secret_key"  # noqa: S105 - the name of a secret
SPARK_TOKEN = "spark_token"  # noqa: S105 - the name of a secret
AIRFLOW_PASSWORD = "airflow_password"  # noqa: S105 - the name of a secret


def password_name(user: str) -> str:
    """The secret that holds the password of a role of PostgreSQL."""
    return f"postgres_{user}"


def s3_endpoint(state: State) -> str:
    return f"http://{LOOPBACK}:{state.port('s3')}"


def spark_remote(state: State) -> str:
    """The URL for clients. It must say `localhost`: with an address pyspark speaks TLS."""
    return f"sc://localhost:{state.port('spark')}/;token={state.secret(SPARK_TOKEN)}"


def airflow_url(state: State) -> str:
    return f"http://{LOOPBACK}:{state.port('airflow')}"
