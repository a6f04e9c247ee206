"""Batches of sales evaluated once more."""

from __future__ import annotations

from dataclasses import replace

from include.backfill.contributions import ContributionShadow
from include.domains.sales.publisher import DimensionPublisher, publisher
from include.domains.sales.request import DimensionManifest, DimensionRequest, FactsManifest
from include.domains.sales.schema import SUMS
from include.feed import FeedSpec
from include.files.batch import Batch
from include.pipeline.ports import Shadow
from include.pipeline.services import Services


def shadow(spec: FeedSpec, services: Services) -> Shadow:
    store, bucket, of = services.store, services.bucket, publisher(spec, services)
    if not isinstance(of, DimensionPublisher):
        columns = [name for name in SUMS.names if name != "seq"]
        return ContributionShadow(store, bucket, FactsManifest, lambda made: made.objects.sums, of.request, columns, "sums row")

    def without_facts(batch: Batch, attempt: int, output: str) -> DimensionRequest:
        """Facts to look at again are as they are now, not as they were."""
        return replace(of.request(batch, attempt, output), facts=())

    stated = of.dimension.stated
    return ContributionShadow(store, bucket, DimensionManifest, lambda made: made.objects.upserts, without_facts, stated, "upserts row")
