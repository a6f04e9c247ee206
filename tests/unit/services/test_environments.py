"""What SLUICE_ENV means for where things are."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.errors import UsageError
from sluice.environments import Environment, environment_of, read_settings, settings_file, with_settings
from sluice.runtime import settings
from sluice.services.doctor import Verdict, _environment

SAID = {"SLUICE_BUCKET": "b", "PGHOST": "h", "PGDATABASE": "d", "PGUSER": "u", "SPARK_REMOTE": "sc://s:1"}


def test_the_file_of_an_environment_says_what_the_variables_do_not(tmp_path: Path) -> None:
    settings_file(Environment.QA, tmp_path).write_text("# about qa\n\nSLUICE_BUCKET=qa-bucket\nPGHOST=qa = host\n")
    found = with_settings({"SLUICE_ENV": "qa", "SLUICE_BUCKET": "mine"}, tmp_path)
    assert found == {"SLUICE_ENV": "qa", "SLUICE_BUCKET": "mine", "PGHOST": "qa = host"}
    assert with_settings({"SLUICE_ENV": "prod"}, tmp_path) == {"SLUICE_ENV": "prod"}


@pytest.mark.parametrize(
    ("line", "why"), [("PGPASSWORD=x", "is a secret"), ("AWS_SECRET_ACCESS_KEY=x", "is a secret"), ("what", "no NAME=value")]
)
def test_a_file_with_a_secret_or_nonsense_is_refused_with_its_line(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "qa.env"
    path.write_text(f"A=1\n{line}\n")
    with pytest.raises(UsageError, match=f"qa.env, line 2.*{why}"):
        read_settings(path)


def test_an_unknown_environment_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match="SLUICE_ENV=production is none of dev, qa, prod"):
        environment_of({"SLUICE_ENV": "production"})


@pytest.mark.parametrize("name", ["qa", "prod"])
def test_only_dev_falls_back_on_the_embedded_services(name: str) -> None:
    assert settings({**SAID, "SLUICE_ENV": name}).s3.bucket == "b"
    lacking = {key: value for key, value in SAID.items() if key != "PGHOST"}
    with pytest.raises(UsageError, match=rf"SLUICE_ENV={name} and PGHOST not set: say it in .*{name}\.env"):
        settings({**lacking, "SLUICE_ENV": name})


def test_the_doctor_says_which_environment_is_meant_and_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in SAID:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SLUICE_ENV", "prod")
    found = _environment()
    assert (found.verdict, found.text) == (Verdict.WRONG, "prod: SLUICE_BUCKET, PGHOST, PGDATABASE, PGUSER not set")
    assert "prod.env" in found.remedy
    for variable, value in SAID.items():
        monkeypatch.setenv(variable, value)
    assert (_environment().verdict, _environment().text) == (Verdict.FINE, "prod: s3://b, d on h")
    monkeypatch.delenv("SLUICE_ENV")
    monkeypatch.delenv("PGHOST")
    assert (_environment().verdict, _environment().text) == (Verdict.FINE, "dev: the embedded services")
    assert [read_settings(settings_file(one)) for one in Environment] == [{}, {}, {}]


def test_a_spark_server_without_tls_on_a_private_network_is_sent_the_token_as_a_header() -> None:
    said = settings({**SAID, "SPARK_REMOTE": "sc://spark:15002/;use_ssl=false", "SPARK_CONNECT_AUTHENTICATE_TOKEN": "t"}).spark
    assert (said.url, said.token) == ("sc://spark:15002/;use_ssl=false", "t")


@pytest.mark.parametrize(("content", "why"), [(None, "cannot be read: No such file"), ("\n", "is empty")])
def test_a_file_that_holds_no_secret_is_refused(tmp_path: Path, content: str | None, why: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=f"PGPASSWORD_FILE=.*secret {why}"):
        with_settings({"PGPASSWORD_FILE": str(path)}, tmp_path)
