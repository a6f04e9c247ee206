"""Where the next blow falls: by chance from a seed, and rather where fewer have fallen so far."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from certificate.places import KINDS, OFTEN_REACHED, WEIGHTS, Effect, Strike, Target, When, effects_of, moments_of

_COMMON_SHARE = 0.75
_LONGEST_DELAY = 0.6
_PRODUCER = "producer"
_RESTORE = "restore"
_RESTORED_SHARE = 0.4


@dataclass
class Draw:
    """`struck` counts the blows of all rounds by place; `never` are effects that no run of the domain has."""

    chance: random.Random
    struck: Counter[str]
    kinds: Sequence[str]
    never: frozenset[Effect] = frozenset()

    def strike(self, *, producer: bool) -> Strike:
        """A blow at the ingest (or what it stands on), or at the producer."""
        kind = _PRODUCER if producer else self._kind()
        target = self.chance.choice(KINDS[kind])
        if self.chance.random() < _COMMON_SHARE:
            when, effect = self._often_reached(target)
            nth = 1
        else:
            when, effect = self._least_struck(target, effects_of(target, self.never))
            nth = self.chance.choice((1, 1, 2, 3))
        return Strike(
            target,
            when,
            effect,
            nth,
            delay=round(self.chance.uniform(0, _LONGEST_DELAY), 3) if when is When.DURING else 0.0,
            hits=self.chance.choice((1, 2, 5)) if target.is_fault else 1,
        )

    def _kind(self) -> str:
        kinds = [kind for kind in self.kinds if kind in WEIGHTS and kind != _PRODUCER]
        return self.chance.choices(kinds, [WEIGHTS[kind] for kind in kinds])[0]

    def _often_reached(self, target: Target) -> tuple[When, Effect]:
        """Right before or after what nearly every run does, where the target allows it: the blow falls."""
        possible = effects_of(target, self.never)
        effects = [effect for effect in possible if effect in OFTEN_REACHED] or possible
        moments = [when for when in moments_of(target) if when is not When.DURING] or moments_of(target)
        return self.chance.choice(moments), self.chance.choice(effects)

    def _least_struck(self, target: Target, effects: Sequence[Effect]) -> tuple[When, Effect]:
        places = [(when, effect) for when in moments_of(target) for effect in effects]
        self.chance.shuffle(places)
        few = sorted(places, key=lambda place: self.struck[Strike(target, *place).place])[: max(3, len(places) // 3)]
        return self.chance.choice(few)

    def of_producer(self, share: int) -> int:
        """How many of a wave's blows its producer takes."""
        if _PRODUCER not in self.kinds:
            return 0
        if set(self.kinds) == {_PRODUCER}:
            return share
        return min(share, self.chance.choice((0, 0, 1, 1, 2)))

    def restored(self, ends: Sequence[int]) -> tuple[int, int] | None:
        """Before which wave the ledger is backed up, and before which, one of `ends`, it is restored; None in most rounds."""
        if _RESTORE not in self.kinds or (self.chance.random() >= _RESTORED_SHARE and not self._only_restores):
            return None
        restored = self.chance.choice(ends)
        return self.chance.randrange(restored), restored

    @property
    def _only_restores(self) -> bool:
        return set(self.kinds) == {_RESTORE}

    def of_reconcile(self) -> Strike:
        """A blow at the reconcile that brings a restored ledger up to date."""
        when, effect = self._least_struck(Target.RECONCILE, effects_of(Target.RECONCILE, self.never))
        return Strike(Target.RECONCILE, when, effect, delay=round(self.chance.uniform(0, _LONGEST_DELAY), 3))

    def shares(self, blows: int, waves: int) -> list[int]:
        """How many blows each wave gets."""
        counted = Counter(self.chance.choices(range(waves), k=0 if self._only_restores else blows))
        return [counted[wave] for wave in range(waves)]
