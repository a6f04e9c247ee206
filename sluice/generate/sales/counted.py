"""A sink that knows what went through it."""

from __future__ import annotations

import hashlib
import io
from typing import Any, BinaryIO


class Counted(io.RawIOBase):
    """Passes bytes on, counts and hashes them."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self.bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._hash.update(piece)
        self._out.write(piece)
        size = memoryview(piece).nbytes
        self.bytes += size
        return size

    def tell(self) -> int:
        return self.bytes

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()
