"""What every DAG here starts from."""

from __future__ import annotations

import datetime as dt
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from include.errors import DeploymentFault, EnvironmentFailure

OWNER = "sluice"

# A service that is down may be back in a moment; a bug, a refused parameter or a time-out would only happen again.
ONLY_THE_ENVIRONMENT = ExceptionRetryPolicy(
    rules=[
        RetryRule(DeploymentFault, RetryAction.FAIL, reason="something is missing until a person mends it"),
        RetryRule(EnvironmentFailure, RetryAction.RETRY, reason="a service did not answer"),
        RetryRule(BaseException, RetryAction.FAIL, reason="it would happen again"),
    ]
)

TASK_DEFAULTS: dict[str, Any] = {
    "owner": OWNER,
    "retries": 2,
    "retry_delay": dt.timedelta(seconds=5),
    "retry_exponential_backoff": 2,
    "max_retry_delay": dt.timedelta(minutes=1),
    "retry_policy": ONLY_THE_ENVIRONMENT,
    "execution_timeout": dt.timedelta(hours=1),
}

DAG_DEFAULTS: dict[str, Any] = {
    "catchup": False,
    "max_active_runs": 1,
    "default_args": TASK_DEFAULTS,
}
