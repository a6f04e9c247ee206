"""The name under which Airflow's processes know this machine: logs are read from disk, so no other name needs to be found."""

from __future__ import annotations


def hostname() -> str:
    """For Airflow's `[core] hostname_callable`; a machine's real name may take a name server seconds to answer for."""
    return "localhost"
