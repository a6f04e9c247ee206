"""The forms of what a run may be told to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.sdk import DAG

PLACES = {
    "finance_replay": "fixed",
    "sales_replay": "fixed",
    "transactions_replay": "fixed",
    "transactions_producer": "source",
    "transactions_reference": "source",
}
# What else a person may type freely, which names no place to read from: see dags/wiring.
FREE = {"file", "why", "prefix", "key_prefix", "gcp_conn_id", "connection", "date"}


def test_every_text_of_a_form_is_known_to_name_a_place_or_none(dags: dict[str, DAG]) -> None:
    texts = {
        (dag_id, name)
        for dag_id, dag in dags.items()
        for name in dag.params
        if "string" in str(dag.params.get_param(name).schema["type"])
        and "enum" not in dag.params.get_param(name).schema
        and name not in FREE
    }
    assert texts == set(PLACES.items())


@pytest.mark.parametrize(("dag_id", "name"), PLACES.items())
@pytest.mark.parametrize(
    "address",
    [
        "https://b.s3.amazonaws.com/a.csv?X-Amz-Signature=s",
        "https://me:word@host/a.csv",
        "HTTPS://token@host/a.csv",
        "https://host/a?day=1&SIG=s",
    ],
)
def test_an_address_with_a_secret_is_refused_before_it_is_kept_with_the_run(
    dags: dict[str, DAG], dag_id: str, name: str, address: str
) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    param = dags[dag_id].params.get_param(name)
    with pytest.raises(ParamValidationError):
        param.resolve(address)
    assert param.resolve("s3://sluice/landing/a.csv") == "s3://sluice/landing/a.csv"
