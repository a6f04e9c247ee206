"""What a publication updates: an asset for each group of feeds, for whatever is made of published results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from include.feed import FeedSpec


def published_asset(group: str) -> Asset:
    """The published results of a group, delivered too. Which bucket and database they lie in is a matter of the connections."""
    return Asset(f"sluice_published_{group}", uri=f"x-sluice://published/{group}/")


def published_alias(spec: FeedSpec) -> AssetAlias:
    """What deliver adds an event of the published results to: an alias, so that a run that delivers no batch adds nothing."""
    return AssetAlias(f"sluice_{spec.name}_was_published")
