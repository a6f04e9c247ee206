"""The passwords of a deployment, one a file, as deploy/make-secrets.sh makes them."""

from __future__ import annotations

from pathlib import Path

from include.errors import UsageError
from include.ledger.roles import Role
from sluice.services.secrecy import SHORTEST


def passwords_of(folder: Path) -> dict[str, str]:
    """By role, from ledger_<role>_password.

    Raises:
        UsageError: a file is missing, or what it holds could be guessed.
    """
    found = {}
    for role in Role:
        path = folder / f"ledger_{role.name.lower()}_password"
        if not path.is_file():
            raise UsageError(f"there is no {path}: deploy/make-secrets.sh makes it")
        found[role.value] = path.read_text().strip()
        if len(found[role.value]) < SHORTEST:
            raise UsageError(f"{path} holds a password of less than {SHORTEST} characters: delete it and run deploy/make-secrets.sh")
    return found


def keep(path: Path, secret: str) -> None:
    """Write a secret as deploy/make-secrets.sh does: the folder is closed, the containers that the file is mounted into can read it."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(secret)
    new.chmod(0o444)
    new.replace(path)
