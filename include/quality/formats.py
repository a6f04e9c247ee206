"""Which reader a file's name asks for. Another format is another line here and a reader beside `csv_reader`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from include.ingestion.contract import Contract
from include.ingestion.errors import UsageError
from include.ingestion.keys import base_name
from include.quality.csv_reader import read_csv
from include.quality.lines import Content
from include.quality.records import Rows

Reader = Callable[[Content, Contract, int], Iterator[Rows]]

READERS: dict[str, Reader] = {".csv": read_csv}


def is_zipped(key: str) -> bool:
    return base_name(key).endswith(".gz")


def reader_for(key: str) -> Reader:
    """The reader for a key's ending, `.gz` aside.

    Raises:
        UsageError: no reader knows the ending; a feed whose endings ask for it is not ready.
    """
    name = base_name(key).removesuffix(".gz")
    for ending, reader in READERS.items():
        if name.endswith(ending):
            return reader
    raise UsageError(f"no reader for files like {name!r}; known endings: {', '.join(READERS)}, each also with .gz")
