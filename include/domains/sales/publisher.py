"""Who publishes which feed of sales."""

from __future__ import annotations

from include.domains.sales.dimension_publisher import DimensionPublisher
from include.domains.sales.facts_publisher import FactsPublisher
from include.domains.sales.schema import DIMENSIONS, FACTS_FEED
from include.feed import FeedSpec
from include.pipeline.services import Services


def publisher(spec: FeedSpec, services: Services) -> FactsPublisher | DimensionPublisher:
    session, store, bucket = services.ledger.session, services.store, services.bucket
    if spec.name == FACTS_FEED:
        return FactsPublisher(session, store, bucket)
    return DimensionPublisher(DIMENSIONS[spec.name], session, store, bucket)
