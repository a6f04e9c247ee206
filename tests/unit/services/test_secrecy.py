"""Secrets where they do not belong, and passwords that could be guessed, are found and never told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from sluice.services.doctor import Verdict, _passwords, _settings
from sluice.services.secrecy import plain_secrets, secrets_in
from sluice.services.state import PROJECT, State


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    for name in ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AIRFLOW_PASSWORD", "SLUICE_SECRETS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config" / "environments").mkdir(parents=True)
    return State(tmp_path / ".sluice", tmp_path)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("AWS_SECRET_ACCESS_KEY=abc", "AWS_SECRET_ACCESS_KEY"),
        ("export SPARK_TOKEN='abc'", "SPARK_TOKEN"),
        ("AIRFLOW__CORE__FERNET_KEY: abc", "AIRFLOW__CORE__FERNET_KEY"),
        ("LEDGER=postgresql://me:word@db/sluice", "LEDGER"),
        ("AIRFLOW_DB_PASSWORD_FILE=/run/secrets/a", None),
        ("SLUICE_SECRETS=./deploy/secrets", None),
        ("PGPASSWORD=", None),
        ("PGPASSWORD=${FROM_ELSEWHERE}", None),
        ("PGHOST=db.example", None),
        ("URL=http://db:5432/x", None),
        ("a sentence about PASSWORD", None),
    ],
)
def test_a_line_is_a_plain_secret_or_not(line: str, name: str | None) -> None:
    assert list(plain_secrets([line])) == ([] if name is None else [(1, name)])


def test_the_doctor_names_the_line_and_never_the_value(checkout: State) -> None:
    assert _settings(checkout).verdict is Verdict.FINE
    (checkout.project / ".env").write_text("AIRFLOW_PORT=8080\nPGPASSWORD=canary-value\n")
    found = _settings(checkout)
    assert (found.verdict, found.text) == (Verdict.WRONG, f"secrets in plain text: {checkout.project}/.env:2 PGPASSWORD")
    assert "canary-value" not in found.text + found.remedy


def test_the_doctor_names_weak_passwords_wherever_they_are(checkout: State, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = checkout.project / "deploy" / "secrets"
    deployed.mkdir(parents=True, mode=0o700)
    (deployed / "ledger_ui_password").write_text("Bq7-uK2_mZ0xPs9wLd4e")
    (deployed / "airflow_connections.json").write_text("{}")
    (deployed / "airflow_database_url").write_text("postgresql://a:b@c/d")
    assert secrets_in(deployed) == {"ledger_ui_password": "Bq7-uK2_mZ0xPs9wLd4e"}
    assert (_passwords(checkout).verdict, _passwords(checkout).text) == (Verdict.FINE, "1 looked at, none is short or a default")
    (deployed / "airflow_admin_password").write_text("admin123")
    monkeypatch.setenv("PGPASSWORD", "x" * 20)
    found = _passwords(checkout)
    assert found.verdict is Verdict.WRONG
    assert found.text == "airflow_admin_password is a default; PGPASSWORD has less than 8 different characters"
    monkeypatch.delenv("PGPASSWORD")
    (deployed / "airflow_admin_password").unlink()
    deployed.chmod(0o755)
    assert _passwords(checkout).text == f"{deployed} is open to other users"


def test_what_is_committed_holds_no_plain_secret(checkout: State) -> None:
    assert _settings(dataclasses.replace(checkout, project=PROJECT)).verdict is Verdict.FINE
    assert not [*plain_secrets((PROJECT / ".env.example").read_text().splitlines())]
    assert not [*plain_secrets((PROJECT / "docker-compose.yaml").read_text().splitlines())]
    assert not [*plain_secrets((PROJECT / "deploy" / "airflow.cfg").read_text().splitlines())]
