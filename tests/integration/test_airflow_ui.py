"""What a person does in Airflow's own pages, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.airflow import until
from tests.integration.browser import AirflowUI, at_the_ui
from tests.integration.debian import NotToBeHad
from tests.integration.test_airflow import Scheduled, airflow, scheduled
from tests.integration.test_airflow_backfill import DAILY, land, past_dates

__all__ = ["airflow", "scheduled"]  # fixtures


@pytest.fixture
def ui(with_airflow: dict[str, str]) -> Iterator[AirflowUI]:
    try:
        with at_the_ui(with_airflow) as ui:
            yield ui
    except NotToBeHad as why:
        pytest.skip(f"NOT RUN: {why}")


def ended(scheduled: Scheduled, number: int) -> None:
    until(lambda: scheduled.airflow.get(f"/backfills/{number}")["completed_at"], "the backfill has ended", 300)


def test_three_past_dates_are_backfilled_in_the_form_and_one_is_compared_by_its_switch(scheduled: Scheduled, ui: AirflowUI) -> None:
    days = past_dates(scheduled.ledger, 3)
    landed = [land(scheduled, day, name) for day in reversed(days) for name in ("10.csv", "9.csv")]
    form = ui.backfill_form(DAILY, days[0], days[-1])
    form.get_by_text("3 runs will be triggered.").wait_for()
    ended(scheduled, ui.run(form))
    files = scheduled.finished(landed, seconds=5)
    assert [(file["key"].rsplit("/", 2)[1], file["key"].rpartition("_")[2], file["state"]) for file in files] == [
        (f"dt={day}", name, "published") for day in days for name in ("9.csv", "10.csv")
    ]

    form = ui.backfill_form(DAILY, days[1], days[1])
    form.get_by_text("All Runs", exact=True).click()
    form.get_by_text("1 run will be triggered.").wait_for()
    form.get_by_text("Override parameters on existing runs", exact=True).click()
    form.locator("label:has(input[name=element_reprocess])").click()
    number = ui.run(form)
    assert scheduled.airflow.get(f"/backfills/{number}")["dag_run_conf"]["reprocess"] is True
    ended(scheduled, number)
    certificates = scheduled.ledger.rows(
        "select date, verdict, different, run_id from backfill_certificate where date = any(%s) order by date", (days,)
    )
    assert [(one["date"], one["verdict"], one["different"]) for one in certificates] == [(days[1], "equal", 0)]
    run = certificates[0]["run_id"].removeprefix(f"airflow:{DAILY}:")
    assert "9.csv: equal (published)" in ui.text(f"/dags/{DAILY}/runs/{run}/tasks/reprocess", "nothing was published")
