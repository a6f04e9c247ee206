"""The pages that people open to see what the suite found."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from include.domains.transactions.feeds import TRANSACTIONS
from include.quality.data_docs import build_data_docs
from tests.unit.quality.desk import DATA, HEADER, Desk


def test_each_judged_file_has_a_page_with_its_own_counts(tmp_path: Path) -> None:
    desk = Desk()
    bad = desk.land((DATA / "amount_negative.csv").read_bytes(), "landing/transactions/bad.csv")
    unread = desk.land(HEADER.replace(b"step", b"stage"), "landing/transactions/unread.csv")
    good = desk.land((DATA / "good.csv").read_bytes(), "landing/transactions/good.csv")
    reports = [json.loads(json.dumps(verdict.report)) for verdict in desk.validate([bad, unread, good])]
    front = build_data_docs(tmp_path, TRANSACTIONS.contract, reports, dt.datetime(2026, 11, 21, tzinfo=dt.UTC))
    pages = {page.name: page.read_text() for page in (tmp_path / "validations").rglob("*.html")}
    assert front.exists()
    assert sorted(pages) == ["bad.csv.1.html", "good.csv.3.html"]
    assert "1 unexpected values found. 10% of 10 total rows." in pages["bad.csv.1.html"].replace("\n", " ").replace("&nbsp;", " ")
    assert "unexpected values found" not in pages["good.csv.3.html"]
    assert "landing/transactions/good.csv" in pages["good.csv.3.html"]
