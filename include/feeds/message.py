"""What passes between processes as JSON: values with the format they are written in, and what every Spark job is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import TypeAdapter


@dataclass(frozen=True, kw_only=True)
class Message:
    """A value that is told as JSON and read back by other code than that which told it: `format` says whether it can."""

    format: int = 1

    def to_json(self) -> dict[str, Any]:
        told: dict[str, Any] = TypeAdapter(type(self)).dump_python(self, mode="json")
        return told

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """Read one back.

        Raises:
            ValueError: a format that this code does not know, or a value that does not fit.
        """
        if said["format"] != cls.format:
            raise ValueError(f"a {cls.__name__} of format {said['format']!r}; this code reads format {cls.format}")
        read: Self = TypeAdapter(cls).validate_python(said)
        return read


@dataclass(frozen=True, kw_only=True)
class JobRequest(Message):
    """What every Spark job is asked.

    Attributes:
        bucket: that of the objects it names.
        output: the folder of its results there.
    """

    feed: str
    batch: int
    attempt: int
    bucket: str
    output: str
