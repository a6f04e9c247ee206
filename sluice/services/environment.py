"""What a client needs to know of running services, as environment variables."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from sluice.services.addresses import AIRFLOW_PASSWORD, S3_ACCESS_KEY, S3_SECRET_KEY, airflow_url, password_name, s3_endpoint, spark_remote
from sluice.services.state import AIRFLOW_LOGIN, BUCKET, LEDGER_DATABASE, LEDGER_USER, LOOPBACK, REGION, State


def environment(state: State) -> dict[str, str]:
    """Names as the AWS tools, libpq and pyspark read them, so that they work as they are."""
    return {
        "AWS_ENDPOINT_URL_S3": s3_endpoint(state),
        "AWS_ACCESS_KEY_ID": state.secret(S3_ACCESS_KEY),
        "AWS_SECRET_ACCESS_KEY": state.secret(S3_SECRET_KEY),
        "AWS_DEFAULT_REGION": REGION,
        "SLUICE_BUCKET": BUCKET,
        "PGHOST": LOOPBACK,
        "PGPORT": str(state.port("postgres")),
        "PGDATABASE": LEDGER_DATABASE,
        "PGUSER": LEDGER_USER,
        "PGPASSWORD": state.secret(password_name(LEDGER_USER)),
        "SPARK_REMOTE": spark_remote(state),
        "AIRFLOW_URL": airflow_url(state),
        "AIRFLOW_USERNAME": AIRFLOW_LOGIN,
        "AIRFLOW_PASSWORD": state.secret(AIRFLOW_PASSWORD),
    }


def as_exports(variables: Mapping[str, str]) -> str:
    r"""Lines that a POSIX shell evaluates.

    >>> as_exports({"A": "two words"})
    "export A='two words'\n"
    """
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
