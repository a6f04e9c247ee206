"""A person at the Airflow UI: Chromium, installed or from Debian's packages, without a window."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, Response, sync_playwright

from tests.integration import debian

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
)
_TIMEOUT_MS = 120_000


def chromium() -> tuple[Path, dict[str, str]]:
    """Where Chromium is, and the environment that it needs.

    Raises:
        NotToBeHad: it is not installed, and cannot be unpacked from Debian's packages.
    """
    for name in _NAMES:
        if installed := shutil.which(name):
            return Path(installed), dict(os.environ)
    root = debian.unpacked("chromium")
    return root / "usr" / "lib" / "chromium" / "chromium", {**os.environ, "LD_LIBRARY_PATH": debian.libraries(root)}


class AirflowUI:
    """A logged-in page."""

    def __init__(self, page: Page, services: Mapping[str, str]) -> None:
        self.page = page
        self._url = services["AIRFLOW_URL"]
        page.goto(self._url)
        page.locator("input[name=username]").fill(services["AIRFLOW_USERNAME"])
        page.locator("input[name=password]").fill(services["AIRFLOW_PASSWORD"])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Dags", exact=True).first.wait_for()

    def text(self, path: str, wanted: str) -> str:
        """What a page says, once it says something wanted."""
        self.page.goto(f"{self._url}{path}")
        self.page.get_by_text(wanted).first.wait_for()
        return self.page.locator("body").inner_text()

    def backfill_form(self, dag: str, first: dt.date, last: dt.date) -> Locator:
        """Trigger, Backfill, both dates; the form, which says by now how many runs there will be."""
        self.page.goto(f"{self._url}/dags/{dag}")
        self.page.get_by_role("button", name="Trigger").first.click()
        form = self.page.get_by_role("dialog").filter(has_text="Run this Dag for a range of dates")
        form.get_by_text("Backfill", exact=True).click()
        for day in (first, last):
            form.get_by_text("Select date and time").first.click()
            picker = self.page.get_by_role("dialog").filter(has=self.page.get_by_placeholder("YYYY/MM/DD"))
            picker.get_by_placeholder("YYYY/MM/DD").fill(f"{day:%Y/%m/%d}")
            picker.get_by_placeholder("HH:mm").fill("00:00")
            self.page.keyboard.press("Escape")
            picker.wait_for(state="detached")
        return form

    def run(self, form: Locator) -> int:
        """Press *Run Backfill*; the backfill's number."""

        def asked(response: Response) -> bool:
            return response.request.method == "POST" and response.url.endswith("/backfills")

        with self.page.expect_response(asked) as answer:
            form.get_by_role("button", name="Run Backfill").click()
        assert answer.value.ok, answer.value.text()
        number: int = answer.value.json()["id"]
        return number


@contextmanager
def at_the_ui(services: Mapping[str, str]) -> Iterator[AirflowUI]:
    """Raises `NotToBeHad` where there is no browser."""
    binary, environment = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, env={**environment}, args=[*_QUIET])
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 1400}, locale="en-US", timezone_id="UTC")
            page.set_default_timeout(_TIMEOUT_MS)
            yield AirflowUI(page, services)
        finally:
            browser.close()
