"""What the build back end asks before it builds: this is an application, and is only ever installed as the checkout that it is."""

from __future__ import annotations

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class EditableOnly(BuildHookInterface):  # type: ignore[misc,type-arg]
    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        """Refuse a wheel that would put a package called `include` into somebody's environment."""
        del build_data
        if version != "editable":
            raise SystemExit(
                "Sluice is an application, not a library: a wheel would install packages called `include`, `spark_jobs` and `sluice`. "
                "Run `make setup` in a checkout, or build the Dockerfile."
            )
