"""When a feed's ingest runs: once a minute, and at once when something lands or still waits."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from airflow.sdk import Asset, AssetAlias, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable

from include.files import keys
from plugins.landing.sluice_landing_trigger import LandingTrigger

if TYPE_CHECKING:
    from include.feed import FeedSpec

EVERY_MINUTE = CronTriggerTimetable("* * * * *", timezone="UTC")


def landing_asset(spec: FeedSpec) -> Asset:
    """The feed's landing prefix. Which bucket it lies in is a matter of the connection, so its address does not say."""
    watcher = AssetWatcher(name=f"{spec.name}_landing", trigger=LandingTrigger(spec.name))
    return Asset(f"sluice_landing_{spec.name}", uri=f"x-sluice://{keys.landing(spec.name)}", watchers=[watcher])


def backlog_alias(spec: FeedSpec) -> AssetAlias:
    """What deliver may add an event of the landing to: an alias, so that without one it adds nothing."""
    return AssetAlias(f"sluice_more_{spec.name}_waits")


def as_it_lands(*specs: FeedSpec) -> AssetOrTimeSchedule:
    """The clock, which finds everything, and a watcher for each feed, any of which saves waiting for it."""
    return AssetOrTimeSchedule(timetable=EVERY_MINUTE, assets=reduce(or_, map(landing_asset, specs)))
