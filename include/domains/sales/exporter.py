"""What deliver writes of sales: the star in the lake, as Delta tables, batch after batch."""

from __future__ import annotations

from dataclasses import dataclass

from include.domains.sales.publisher import facts_request
from include.domains.sales.request import LakeDimensionRequest, LakeFactsRequest
from include.domains.sales.schema import DIMENSIONS, FACT_SALES, FACTS_FEED, GROUP, Dimension
from include.domains.sales.state import dimension_object
from include.feed import FeedSpec
from include.files import keys
from include.files.batch import Batch
from include.ledger.session import LedgerSession
from include.pipeline.delivering import Delivering
from include.pipeline.services import Services

DELIVERY = 0  # the number of no attempt


def exporter(spec: FeedSpec, services: Services) -> FactsExporter | DimensionExporter:
    session, bucket = services.ledger.session, services.bucket
    return FactsExporter(session, bucket) if spec.name == FACTS_FEED else DimensionExporter(DIMENSIONS[spec.name], session, bucket)


@dataclass(frozen=True)
class FactsExporter:
    ledger: LedgerSession
    bucket: str

    def export(self, batch: Batch, delivering: Delivering) -> None:
        """Put the facts into the lake, with the keys of when the batch was published; later dimensions change them in their turn."""
        folder = keys.delivery_folder(batch.feed, batch.number)
        delivering.job.run(facts_request(LakeFactsRequest, self.ledger, self.bucket, batch, DELIVERY, folder))
        delivering.log(f"batch {batch.number} is in s3://{self.bucket}/{keys.lake_table(GROUP, FACT_SALES)}")


@dataclass(frozen=True)
class DimensionExporter:
    dimension: Dimension
    ledger: LedgerSession
    bucket: str

    def export(self, batch: Batch, delivering: Delivering) -> None:
        """Put the dimension into the lake, and its keys into the facts there."""
        after = dimension_object(self.ledger, batch.feed, "versions", batch.number + 1)
        assert after is not None, "its publication points at it"
        request = LakeDimensionRequest(
            feed=batch.feed,
            batch=batch.number,
            attempt=DELIVERY,
            bucket=self.bucket,
            before=dimension_object(self.ledger, batch.feed, "versions", batch.number),
            after=after,
            output=keys.delivery_folder(batch.feed, batch.number),
        )
        delivering.job.run(request)
        delivering.log(f"batch {batch.number} is in s3://{self.bucket}/{keys.lake_table(GROUP, self.dimension.table)}")
