"""Where a secret stands that should not, and which could be guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

SHORTEST = 16
FEWEST_CHARACTERS = 8
_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|ACCESS_KEY|API_KEY|FERNET_KEY|PRIVATE_KEY)", re.IGNORECASE)
_NO_SECRET = ("_FILE", "_CMD", "_PATH", "_FOLDER", "SECRETS", "_SECRET_NAME")
_URL_WITH_PASSWORD = re.compile(r"\w+://[^/\s:@]*:[^/\s@]+@")
_DEFAULTS = ("admin", "airflow", "changeme", "minioadmin", "password", "postgres", "root", "secret", "sluice", "test", "user")


def plain_secrets(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Settings (`NAME=value`, `name: value`) that hold a secret in plain text: line number and name. The value is never told.

    >>> list(plain_secrets(["A=1", "# PGPASSWORD=x", "PGPASSWORD=x", "PGPASSWORD_FILE=/run/x", "TARGET=mysql://me:word@db/d"]))
    [(3, 'PGPASSWORD'), (5, 'TARGET')]
    """
    for number, line in enumerate(lines, start=1):
        found = re.match(r"\s*(?:export\s+)?([\w.-]+)\s*[=:]\s*(\S.*)$", line)
        if found is None:
            continue
        name, value = found[1], found[2].strip().strip("\"'")
        named = _SECRET_NAME.search(name) is not None and not name.upper().endswith(_NO_SECRET)
        if (named and value and not value.startswith(("$", "<", "{"))) or _URL_WITH_PASSWORD.search(value):
            yield number, name


def weakness(value: str) -> str | None:
    """Why a password could be guessed, or None.

    >>> weakness("airflow"), weakness("short"), weakness("a" * 40), weakness("Bq7-uK2_mZ0xPs9wLd4e")
    ('is a default', 'has less than 16 characters', 'has less than 8 different characters', None)
    """
    if value.strip().lower().rstrip("0123456789!") in _DEFAULTS:
        return "is a default"
    if len(value) < SHORTEST:
        return f"has less than {SHORTEST} characters"
    return f"has less than {FEWEST_CHARACTERS} different characters" if len(set(value)) < FEWEST_CHARACTERS else None


def plain_secrets_in(files: Iterable[Path]) -> list[str]:
    """The places of plain-text secrets, as `file:line NAME`."""
    return [f"{path}:{number} {name}" for path in files if path.is_file() for number, name in plain_secrets(path.read_text().splitlines())]


def weak_ones(secrets: Mapping[str, str]) -> list[str]:
    """Which of these could be guessed and why, by name."""
    return [f"{name} {why}" for name, value in secrets.items() if (why := weakness(value))]


def secrets_in(folder: Path) -> dict[str, str]:
    """The passwords of a folder of secrets by file name; what is put together from others (a URL, JSON) is left out."""
    texts = {path.name: path.read_text().strip() for path in sorted(folder.glob("[!.]*")) if path.is_file()} if folder.is_dir() else {}
    return {name: text for name, text in texts.items() if not text.startswith("{") and "://" not in text}
