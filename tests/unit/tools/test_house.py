"""What `make check` refuses of the house."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import house

CROOKED = {
    "__init__.py": "",
    "given.py": "class Known:\n    standing = 1\n",
    "lender.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from crooked.taker import take\n",
    "taker.py": "def take(said, given_up, *, given):\n    def _let_go(): ...\n    told = asked = known = 1\n",
    "late.py": "def told_when():\n    from crooked import lender\n",
    "trial/__init__.py": "",
    "publisher.py": "from typing import Any\nclass Made:\n    rows: dict[str, Any]\nasync def f(*, of: 'Any' = 1):\n    kept: Any = 1\n",
}


@pytest.fixture
def crooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "crooked"
    for name, text in CROOKED.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    (package / "taker.py").write_text(CROOKED["taker.py"] + "    from crooked import late\n")
    catalog = tmp_path / "columns.md"
    catalog.write_text("## Tables\n\n### sales.tally\n\n| column | type |\n|---|---|\n| `given` | jsonb |\n| `kept` | told |\n")
    (tmp_path / "README.md").write_text(
        "`crooked/late.py`, crooked/trial/.\nand crooked/gone.py, crooked/<one>.py, crooked/*.py, in/crooked/gone.py\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(house, "PROJECT", tmp_path)
    monkeypatch.setattr(house, "PACKAGES", ("crooked",))
    monkeypatch.setattr(house, "CATALOG", catalog)
    monkeypatch.setattr(house, "_PATH", re.compile(house._PATH.pattern.replace("plugins|", "crooked|")))
    monkeypatch.setattr(house, "NO_ANY", ("crooked/pub*.py",))
    monkeypatch.setattr(house, "ALLOWED", {"crooked.trial"})
    return package


EVERYTHING = """\
a circle of modules: crooked.late -> crooked.lender -> crooked.taker -> crooked.late
crooked/given.py:1: `given`: say `context`
crooked/given.py:1: `Known`: say `DecisionContext`
crooked/given.py:2: `standing`: say `current_versions`
crooked/late.py:1: `told_when`: say `logged, print_*`
crooked/taker.py:1: `given`: say `context`
crooked/taker.py:1: `said`: say `logged`
crooked/taker.py:2: `_let_go`: say `release`
crooked/taker.py:3: `told`: say `logged, print_*`
columns.md:3: `tally`: say `DailyTotals`
columns.md:7: `given`: say `context`
crooked/publisher.py:3: `Any` in the signature of `rows`
crooked/publisher.py:4: `Any` in the signature of `f`
README.md:2: there is no crooked/gone.py
"""


@pytest.mark.usefixtures("crooked")
def test_a_circle_an_old_word_an_any_and_a_dead_path_are_each_refused_with_their_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert house.main(["--pending"]) == 1
    assert sorted(capsys.readouterr().err.splitlines()) == sorted(EVERYTHING.splitlines())


@pytest.mark.usefixtures("crooked")
def test_what_is_pending_is_left_out_and_nothing_else(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house, "PENDING_WORDS", {*house.WORDS, *house.WHOLE} - {"let_go"})
    monkeypatch.setattr(house, "PENDING_CIRCLES", {"crooked"})
    monkeypatch.setattr(house, "PENDING_ANY", {"crooked/publisher.py"})
    assert house.main([]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "crooked/taker.py:2: `_let_go`: say `release`",
        "README.md:2: there is no crooked/gone.py",
    ]


def test_the_house_is_as_it_should_be_but_for_what_is_pending() -> None:
    assert house.main([]) == 0
    assert {*house.WORDS, *house.WHOLE} >= house.PENDING_WORDS
    assert not house.WORDS.keys() & house.WHOLE.keys()
