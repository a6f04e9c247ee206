"""The live view of the main job: a table that redraws itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
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


def in_words(files: Mapping[str, int]) -> str:
    """Files by what became of them, as a person reads it.

    >>> in_words({"published": 18, "refused": 0, "duplicate": 2})
    '18 published, 0 refused, 2 duplicate'
    """
    return ", ".join(f"{count} {fate}" for fate, count in files.items())


def in_one_line(snapshot: Snapshot) -> str:
    """A snapshot as a line of a log: this run's chunks, rows and detections, and how much of the feed waits."""
    run = snapshot.run
    found = ", ".join(f"{pattern} {run.detections.get(pattern, 0)}" for pattern in ACTIONS)
    return (
        f"chunks {run.total} landed: {in_words(run.files)}; rows {run.rows_accepted} accepted, {run.rows_rejected} rejected; "
        f"detections {found}; backlog {_backlog(snapshot)}"
    )


def _backlog(snapshot: Snapshot) -> str:
    waits = snapshot.backlog and snapshot.oldest_seconds is not None
    return f"{snapshot.backlog}" + (f", oldest {snapshot.oldest_seconds:.1f} s" if waits else "")


def _picture(title: str, services: list[tuple[str, str]], snapshot: Snapshot) -> Group:
    state = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    state.add_row("services", "  ".join(f"[green]●[/] {name} {how}" for name, how in services))
    run, feed = snapshot.run, snapshot.feed
    state.add_row("chunks", f"{run.total} landed: {in_words(run.files)}")
    state.add_row("rows", f"{run.rows_accepted:,} accepted   {run.rows_rejected:,} rejected")
    state.add_row("detections", "   ".join(f"{pattern} {action} {run.detections.get(pattern, 0)}" for pattern, action in ACTIONS.items()))
    state.add_row("the feed", f"{feed.total} files: {in_words(feed.files)}")
    state.add_row("backlog", _backlog(snapshot))
    if snapshot.failure:
        state.add_row("[red]failure[/]", snapshot.failure)
    return Group(state)
