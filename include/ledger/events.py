"""What happened to a file, beside its moves, and who asked for a move: rows of `file_event`."""

from __future__ import annotations

from include.ledger.session import Cursor


def note(cursor: Cursor, file_id: int | None, kind: str, reason: str, by: str | None = None) -> None:
    """An event that is no move."""
    cursor.execute(
        """insert into file_event (file_id, kind, reason, run_id, actor)
           values (%s, %s, %s, nullif(current_setting('sluice.run', true), ''), %s)""",
        (file_id, kind, reason, by),
    )


def act(cursor: Cursor, by: str) -> None:
    """Name the person whom the moves that follow go back to; empty = nobody."""
    cursor.execute("select set_config('sluice.actor', %s, true)", (by,))
