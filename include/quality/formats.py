"""Which reader a file's name asks for. Another format is another line here and a reader beside these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from include.contract import Contract
from include.errors import UsageError
from include.files.keys import base_name
from include.quality.csv_reader import header_of, read_csv, read_lines
from include.quality.json_reader import read_json, read_json_lines, read_records
from include.quality.lines import Content
from include.quality.parquet_reader import read_parquet
from include.quality.records import Rows

Found = TypeVar("Found")
Reader = Callable[[Content, Contract, int], Iterator[Rows]]

READERS: dict[str, Reader] = {
    ".csv": read_csv,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".parquet": read_parquet,
}


@dataclass(frozen=True)
class LayoutReader:
    """Reads single corrected records of a file by the layout that the whole file has: `header` finds it, `read` applies it.

    Attributes:
        one_line: whether a record is one physical line.
    """

    header: Callable[[bytes, Contract], tuple[str, ...]]
    read: Callable[[Contract, Sequence[str], Sequence[bytes]], Rows]
    one_line: bool


_JSON = LayoutReader(lambda _, contract: contract.names, read_records, one_line=False)
LAYOUT_READERS: dict[str, LayoutReader] = {
    ".csv": LayoutReader(header_of, read_lines, one_line=True),
    ".jsonl": _JSON,
    ".ndjson": _JSON,
    ".json": _JSON,
    ".parquet": _JSON,
}


def is_zipped(key: str) -> bool:
    return base_name(key).endswith(".gz")


def reader_for(key: str) -> Reader:
    """The reader for a key's ending, `.gz` aside.

    Raises:
        UsageError: no reader knows the ending; a feed whose endings ask for it is not ready.
    """
    return _by_ending(key, READERS)


def layout_reader_for(key: str) -> LayoutReader:
    """The reader of single records for a key's ending.

    Raises:
        UsageError: no reader knows the ending.
    """
    return _by_ending(key, LAYOUT_READERS)


def _by_ending(key: str, readers: Mapping[str, Found]) -> Found:
    name = base_name(key).removesuffix(".gz")
    for ending, reader in readers.items():
        if name.endswith(ending):
            return reader
    raise UsageError(f"no reader for files like {name!r}; known endings: {', '.join(readers)}, each but .parquet also with .gz")
