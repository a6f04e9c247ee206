"""The live view of the main job: a table that redraws itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from sluice.main_job.snapshot import Snapshot

_PLAIN_EVERY_SECONDS = 5.0
ACTIONS = {"PatId1": "UPGRADE", "PatId2": "CHILD", "PatId3": "DEI-NEEDED"}
Show = Callable[[Snapshot, bool], None]


@contextmanager
def watching(console: Console, title: str, services: list[tuple[str, str]]) -> Iterator[Show]:
    """A function that shows a snapshot; the second argument says whether it is the last one."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=False) as live:
            yield lambda snapshot, _last: live.update(_picture(title, services, snapshot))
    else:
        yield _plain(console)


def _plain(console: Console) -> Show:
    shown_at = 0.0
    begun = time.monotonic()

    def show(snapshot: Snapshot, last: bool) -> None:
        nonlocal shown_at
        if last or time.monotonic() - shown_at >= _PLAIN_EVERY_SECONDS:
            shown_at = time.monotonic()
            console.print(f"{shown_at - begun:5.0f} s  {in_one_line(snapshot)}", soft_wrap=True)

    return show


def in_one_line(snapshot: Snapshot) -> str:
    """A snapshot as a line of a log."""
    oldest = f", oldest {snapshot.oldest_seconds:.1f} s" if snapshot.oldest_seconds is not None else ""
    found = ", ".join(f"{pattern} {snapshot.detections.get(pattern, 0)}" for pattern in ACTIONS)
    return (
        f"chunks {snapshot.landed} landed, {snapshot.accepted} accepted, {snapshot.published} published, {snapshot.refused} refused; "
        f"rows {snapshot.rows_accepted} accepted, {snapshot.rows_rejected} rejected; backlog {snapshot.backlog}{oldest}; detections {found}"
    )


def _picture(title: str, services: list[tuple[str, str]], snapshot: Snapshot) -> Group:
    state = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    state.add_row("services", "  ".join(f"[green]●[/] {name} {how}" for name, how in services))
    state.add_row(
        "chunks", f"{snapshot.landed} landed   {snapshot.accepted} accepted   {snapshot.published} published   {snapshot.refused} refused"
    )
    state.add_row("rows", f"{snapshot.rows_accepted:,} accepted   {snapshot.rows_rejected:,} rejected")
    oldest = f"   oldest waiting {snapshot.oldest_seconds:.1f} s" if snapshot.oldest_seconds is not None else ""
    state.add_row("backlog", f"{snapshot.backlog} files{oldest}")
    state.add_row(
        "detections", "   ".join(f"{pattern} {action} {snapshot.detections.get(pattern, 0)}" for pattern, action in ACTIONS.items())
    )
    if snapshot.failure:
        state.add_row("[red]failure[/]", snapshot.failure)
    return Group(state)
