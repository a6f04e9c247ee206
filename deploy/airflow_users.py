"""Airflow's first users, one a role, with the passwords of the secrets folder: `python airflow_users.py FOLDER`. May run again."""

from __future__ import annotations

import sys
from pathlib import Path

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

USERS = {"admin": "Admin", "op": "Op", "viewer": "Viewer"}


def main(secrets: Path) -> None:
    """See that each user is there, has its role and the password of its file, and that the roles are as this Airflow has them."""
    with get_application_builder() as builder:
        manager = builder.sm
        manager.sync_roles()
        for name, role in USERS.items():
            password = (secrets / f"airflow_{name}_password").read_text().strip()
            user = manager.find_user(name)
            if user is None:
                manager.add_user(name, role, "Sluice", f"{name}@sluice.invalid", manager.find_role(role), password=password)
            else:
                user.roles = [manager.find_role(role)]
                manager.reset_password(user.id, password)
            print(f"user {name} has the role {role}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
