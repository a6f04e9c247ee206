"""The DAGs as Airflow reads them, once a session, with an Airflow home of the tests' own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.sdk import DAG

DAGS = Path(__file__).parents[2] / "dags"

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="sluice-airflow-home-"))  # before anything imports Airflow


@pytest.fixture(scope="session")
def bag() -> BundleDagBag:
    """Every DAG file, read as the DAG processor reads them."""
    from airflow.dag_processing.dagbag import BundleDagBag

    return BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags")


@pytest.fixture(scope="session")
def dags(bag: BundleDagBag) -> dict[str, DAG]:
    found: dict[str, DAG] = bag.dags
    return found
