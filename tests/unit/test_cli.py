"""How the command ends."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

import sluice.cli
from tests.unit.violations import VIOLATIONS, violated


@pytest.mark.parametrize("kind", VIOLATIONS, ids=lambda kind: kind.__name__)
def test_a_violated_rule_of_the_ledger_is_one_sentence_and_exit_code_1(
    kind: type[psycopg.IntegrityError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app(**_: object) -> None:
        raise violated(kind)

    monkeypatch.setattr(sluice.cli, "_assemble", lambda: app)
    assert _exit_code(sluice.cli.main) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(
        f"sluice: PostgreSQL: the ledger's rules refuse what was to be written: a rule says no ({kind.__name__}). Nothing"
    )
    assert "Ann" not in said


def test_another_error_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def app(**_: object) -> None:
        raise psycopg.DataError("out of range")

    monkeypatch.setattr(sluice.cli, "_assemble", lambda: app)
    with pytest.raises(psycopg.DataError):
        sluice.cli.main()


def _exit_code(main: Callable[[], None]) -> object:
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code
