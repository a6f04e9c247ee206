"""Airflow's connections from HashiCorp Vault: a server is built and opened, the connections are put into it, and what lands is ingested."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from tools.trial import main_job
from tools.trial.deployment import Deployment

_CONNECTIONS = "airflow_connections.json"
_PATH = "airflow/data/connections/"
_CLIENT = 'read -r VAULT_TOKEN; export VAULT_TOKEN; exec vault "$@"'


def opened(deployment: Deployment) -> str:
    """Build and start Vault, open it, put the connections into it, and let Airflow read them there and nowhere else."""
    deployment.use("deploy/compose.vault.yaml")
    deployment.change(COMPOSE_PROFILES="celery,vault")
    deployment.output("build", "vault")
    deployment.output("up", "--detach", "--wait", "vault")
    init = ("operator", "init", "-key-shares=1", "-key-threshold=1", "-format=json")
    made = json.loads(deployment.output("exec", "--no-TTY", "vault", "vault", *init))
    root, key = made["root_token"], made["unseal_keys_b64"][0]
    deployment.keep_secret("vault_root_token", root)
    deployment.keep_secret("vault_unseal_key", key)
    _vault(deployment, "", "write", "sys/unseal", "key=-", stdin=key)
    _vault(deployment, root, "audit", "enable", "file", "file_path=stdout")
    _vault(deployment, root, "secrets", "enable", "-path=airflow", "-version=2", "kv")
    _vault(deployment, root, "policy", "write", "airflow", "/etc/vault/airflow.hcl")
    connections = json.loads(deployment.secret(_CONNECTIONS))
    for name, connection in connections.items():
        _vault(deployment, root, "kv", "put", "-mount=airflow", f"connections/{name}", "-", stdin=json.dumps(connection))
    token = _vault(deployment, root, "token", "create", "-policy=airflow", "-no-default-policy", "-orphan", "-field=token").strip()
    deployment.keep_secret("vault_token", token)
    deployment.keep_secret(_CONNECTIONS, "{}")
    _refused(deployment, token)
    deployment.bring_up()
    return f"{', '.join(connections)}: put there, and airflow_connections.json emptied"


def worked_from(deployment: Deployment, chunks: int) -> dict[str, Any]:
    """Ingest more chunks; each connection was read from Vault meanwhile."""
    seen = main_job.ingested(deployment, main_job.VAULT_CHUNKS)
    reads = connections_read(deployment.logs_of("vault"))
    assert set(reads) >= {"sluice_s3", "sluice_ledger", "sluice_spark"}, f"Vault was asked for {dict(reads)}"
    return seen | {"reads of Vault": dict(reads)} | main_job.compared(deployment, chunks + main_job.LATER_CHUNKS)


def connections_read(audit: str) -> Counter[str]:
    """How often each connection was read, from what Vault's audit says among its other lines."""
    answers = [json.loads(entry) for entry in re.findall(r"\{\".*\"type\":\"response\"\}$", audit, re.MULTILINE)]
    answered = [one["request"] for one in answers if "error" not in one]
    return Counter(one["path"].removeprefix(_PATH) for one in answered if one["operation"] == "read" and one["path"].startswith(_PATH))


def _refused(deployment: Deployment, token: str) -> None:
    """What Airflow has to read with may not write, and may not read anything else."""
    for words in (("kv", "put", "-mount=airflow", "connections/sluice_s3", "a=b"), ("kv", "get", "-mount=airflow", "others/a")):
        done = _client(deployment, token, words)
        assert "permission denied" in done[1], f"Airflow's token may {' '.join(words)}: {done}"


def _vault(deployment: Deployment, token: str, *words: str, stdin: str = "") -> str:
    code, output = _client(deployment, token, words, stdin)
    assert code == 0, f"vault {' '.join(words)}: {output[-1000:]}"
    return output


def _client(deployment: Deployment, token: str, words: tuple[str, ...], stdin: str = "") -> tuple[int, str]:
    """Vault's own client in its container; the token and what is put go through standard input, where nobody sees them."""
    command = ("exec", "--no-TTY", "vault", "sh", "-c", _CLIENT, "vault", *words)
    done = deployment.compose(*command, check=False, capture_output=True, input=f"{token}\n{stdin}")
    return done.returncode, str(done.stdout + done.stderr)
