"""`SLUICE_ENV`: dev, qa or prod. They differ in settings and connections only; no code asks which one it is, but for where settings are."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path

from include.errors import UsageError
from sluice.services.state import PROJECT

FOLDER = PROJECT / "config" / "environments"
NEEDED = ("SLUICE_BUCKET", "PGHOST", "PGDATABASE", "PGUSER")
SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "SPARK_CONNECT_AUTHENTICATE_TOKEN")
_SECRET = ("PASSWORD", "SECRET", "ACCESS_KEY", "TOKEN")


class Environment(enum.StrEnum):
    """Which services are meant. `dev` alone falls back on the embedded ones of the checkout."""

    DEV = "dev"
    QA = "qa"
    PROD = "prod"


def environment_of(variables: Mapping[str, str]) -> Environment:
    """The environment that is meant; dev where nothing is said.

    >>> environment_of({}), environment_of({"SLUICE_ENV": "prod"})
    (<Environment.DEV: 'dev'>, <Environment.PROD: 'prod'>)

    Raises:
        UsageError: there is no such environment.
    """
    environment_name = variables.get("SLUICE_ENV") or Environment.DEV
    try:
        return Environment(environment_name)
    except ValueError:
        raise UsageError(f"SLUICE_ENV={environment_name} is none of {', '.join(Environment)}") from None


def settings_file(environment: Environment, folder: Path = FOLDER) -> Path:
    return folder / f"{environment}.env"


def with_settings(variables: Mapping[str, str], folder: Path = FOLDER) -> dict[str, str]:
    """The variables over what the environment's file says.

    Raises:
        UsageError: no such environment; a line of the file that is no setting, or a secret, which belongs elsewhere.
    """
    path = settings_file(environment_of(variables), folder)
    environment_name = read_settings(path) if path.is_file() else {}
    return with_secret_files(environment_name | dict(variables))


def with_secret_files(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables, and each secret NAME that they lack from the file that NAME_FILE names.

    Raises:
        UsageError: the file cannot be read, or is empty.
    """
    found = dict(variables)
    for name in SECRETS:
        if name in found or not (path := variables.get(f"{name}_FILE")):
            continue
        try:
            found[name] = Path(path).read_text().rstrip("\n")
        except OSError as failed:
            raise UsageError(f"{name}_FILE={path} cannot be read: {failed.strerror}") from failed
        if not found[name]:
            raise UsageError(f"{name}_FILE={path} is empty: put the secret into it")
    return found


def read_settings(path: Path) -> dict[str, str]:
    """`NAME=value` a line; empty lines and those that begin with # say nothing.

    Raises:
        UsageError: another line, or a secret.
    """
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"{path}, line {number} is no NAME=value")
        if any(word in name for word in _SECRET) and not name.endswith("_FILE"):
            raise UsageError(f"{path}, line {number}: {name} is a secret; set it as a variable or in an Airflow connection, not in a file")
        found[name] = value
    return found


def lacking(variables: Mapping[str, str]) -> list[str]:
    """What of the settings is not said."""
    return [name for name in NEEDED if not variables.get(name)]


def refuse_lacking(environment: Environment, variables: Mapping[str, str]) -> None:
    """See that an environment other than dev says where everything is.

    Raises:
        UsageError: it does not.
    """
    missing = lacking(variables)
    if missing and environment is not Environment.DEV:
        where = settings_file(environment)
        raise UsageError(f"SLUICE_ENV={environment} and {', '.join(missing)} not set: say it in {where} or as a variable")
