"""Batches of finance evaluated once more."""

from __future__ import annotations

from include.backfill.contributions import ContributionShadow
from include.domains.finance.publisher import publisher
from include.domains.finance.request import LatestManifest
from include.domains.finance.schema import LATEST
from include.feed import FeedSpec
from include.pipeline.services import Services


def shadow(spec: FeedSpec, services: Services) -> ContributionShadow[LatestManifest]:
    request, columns = publisher(spec, services).request, [*LATEST[spec.name].columns.names, "line"]
    return ContributionShadow(
        services.store, services.bucket, LatestManifest, lambda made: made.objects.upserts, request, columns, "upserts row"
    )
