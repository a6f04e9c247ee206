"""What the ledger recorded when something was decided, for those who decide it again beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.files.batch import Batch


@dataclass(frozen=True)
class RecordedBatch:
    """A published batch with what its job left, and the version of the code that opened it."""

    batch: Batch
    manifest: Mapping[str, Any]
    code_version: str


@dataclass(frozen=True)
class ValidatedBy:
    """The version of the code, and the digests of the contract and of the suite that judged a file; None where it was not judged."""

    code_version: str | None
    contract_digest: str | None
    suite_digest: str | None


NOBODY = ValidatedBy(None, None, None)
