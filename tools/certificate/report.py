"""The sums of rounds, one JSON line each so that runs add up, and the certificate that is printed of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tools.certificate.places import Fault, When
from tools.certificate.records import Snapshot
from tools.certificate.snapshot import differences


@dataclass
class Round:
    """What one history went through, and how it compares with the undisturbed one; `faults` are those that kill nothing."""

    feed: str
    seed: int
    number: int
    kills: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    recovered_after: list[float] = field(default_factory=list)
    endings: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    doubled: int = 0
    different: int = 0
    unclear: int = 0
    left_behind: int = 0
    seconds: float = 0.0
    first_difference: str = ""
    code: str = ""

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.different or self.unclear or self.left_behind)

    def count(self, fault: Fault) -> None:
        counted = self.kills if fault.target.is_kill else self.faults
        counted[fault.place] = counted.get(fault.place, 0) + 1

    def differs(self, kind: str, *differences: str) -> None:
        """Things are `lost`, `doubled`, `different`, `unclear` or `left_behind`; the first of all is kept in words."""
        setattr(self, kind, getattr(self, kind) + len(differences))
        self.first_difference = self.first_difference or next(iter(differences), "")

    def compare(self, baseline: Snapshot, found: Snapshot) -> None:
        for difference in differences(baseline, found):
            self.differs(difference.kind, str(difference))


@dataclass
class Certificate:
    """Rounds added up."""

    rounds: list[Round] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(sum(one.kills.values()) for one in self.rounds)

    @property
    def faults(self) -> int:
        return sum(sum(one.faults.values()) for one in self.rounds)

    @property
    def clean(self) -> bool:
        return all(one.clean for one in self.rounds)

    @property
    def first_difference(self) -> str:
        return next((f"seed {one.seed}, round {one.number}: {one.first_difference}" for one in self.rounds if not one.clean), "")

    def by_place(self) -> Counter[str]:
        """How often a fault was injected at each place, kills and others."""
        counted: Counter[str] = Counter()
        for one in self.rounds:
            counted.update(one.kills)
            counted.update(one.faults)
        return counted

    def total(self, name: str) -> int:
        return sum(getattr(one, name) for one in self.rounds)

    def recovery(self) -> list[float]:
        return sorted(seconds for one in self.rounds for seconds in one.recovered_after)

    def to_json(self) -> dict[str, Any]:
        times = self.recovery()
        return {
            "feeds": sorted({one.feed for one in self.rounds}),
            "seeds": sorted({one.seed for one in self.rounds}),
            "code": sorted({one.code for one in self.rounds}),
            "rounds": len(self.rounds),
            "kills": self.kills,
            "faults": self.faults,
            "by_place": dict(sorted(self.by_place().items())),
            **{name: self.total(name) for name in ("lost", "doubled", "different", "unclear", "left_behind")},
            "recovery_seconds": {"p50": round(median(times), 2), "max": round(times[-1], 2)} if times else None,
            "seconds": round(sum(one.seconds for one in self.rounds), 1),
            "first_difference": self.first_difference,
        }

    def text(self) -> str:
        found = self.to_json()
        what = f"Crash certificate of {', '.join(found['feeds'])}: seed {', '.join(map(str, found['seeds']))}"
        how = f"{found['rounds']} rounds in {found['seconds']:.0f} s, code {', '.join(found['code'])}"
        injected = f"{found['kills']} processes killed, {found['faults']} errors of the network, runs taken for dead and ledgers restored"
        unlike = f"lost {found['lost']}, doubled {found['doubled']}, different {found['different']}"
        beside = f"failures without a clear sentence {found['unclear']}, objects that nothing refers to {found['left_behind']}"
        lines = [f"{what}, {how}", injected, "", *_table(self.rounds), "", f"{unlike}; {beside}"]
        if times := found["recovery_seconds"]:
            lines.append(f"until the next run had the feed: p50 {times['p50']:.1f} s, max {times['max']:.1f} s")
        lines.append(f"first difference: {found['first_difference']}" if found["first_difference"] else "no difference")
        return "\n".join(lines)


def _table(rounds: Iterable[Round]) -> list[str]:
    """Faults by what they hit, when, and beside which effect."""
    moments: dict[str, Counter[str]] = {}
    effects: dict[str, Counter[str]] = {}
    for one in rounds:
        for place, times in (one.kills | one.faults).items():
            target, moment, effect = parts(place)
            moments.setdefault(target, Counter())[moment] += times
            effects.setdefault(target, Counter())[effect] += times
    lines = []
    for target in sorted(effects, key=lambda name: (-effects[name].total(), name)):
        how = ", ".join(f"{times} {moment}" for moment, times in moments[target].most_common())
        lines.append(f"{effects[target].total():5} {target}: {how}")
        lines.append("      " + ", ".join(f"{effect} {times}" for effect, times in effects[target].most_common()))
    return lines


def parts(place: str) -> tuple[str, str, str]:
    """Target, moment and effect of a place as `Fault.place` names it.

    >>> parts("S3 server, at a random instant after move: copy")
    ('S3 server', 'at a random instant after', 'move: copy')
    """
    target, _, where = place.partition(", ")
    moment = next(moment.value for moment in reversed(When) if where.startswith(moment.value))
    return target, moment, where.removeprefix(moment).strip()


def read(path: Path) -> list[Round]:
    if not path.is_file():
        return []
    return [Round(**json.loads(line)) for line in path.read_text().splitlines() if line.strip()]


def append(path: Path, done: Round) -> None:
    """Keep a round, so that the next run goes on after it."""
    with path.open("a") as lines:
        lines.write(json.dumps(asdict(done)) + "\n")
