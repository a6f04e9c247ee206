"""What runs may still be writing, as far as the ledger can say."""

from __future__ import annotations

from dataclasses import dataclass

from include.files import keys


@dataclass(frozen=True)
class AtWork:
    """What may still be written and pointed at: under the newest token, and by the newest attempt at the newest batch."""

    token: int
    last_batch: int
    open_attempt: int | None

    def may_use(self, key: str) -> bool:
        """Whether a run may yet point at an object.

        >>> now = AtWork(token=7, last_batch=3, open_attempt=2)
        >>> [now.may_use(f"bronze/f/dt=2026-11-21/file=1/attempt={a}/part-00000.parquet") for a in ("6-ab", "7-cd")]
        [False, True]
        >>> [now.may_use(f"state/f/batch={b:08d}/attempt={a}/partials.parquet") for b, a in ((2, 1), (3, 1), (3, 2), (4, 1))]
        [False, False, True, True]
        """
        attempt = keys.bronze_attempt(key)
        if attempt is not None:
            token = attempt.split("-")[0]
            return token.isdigit() and int(token) >= self.token
        tried = keys.batch_attempt(key)
        if tried is None:
            return False
        batch, number = tried
        if batch > self.last_batch:
            return True
        return batch == self.last_batch and self.open_attempt is not None and number >= self.open_attempt
