"""The jobs of sales, by what they are asked."""

from include.domains.sales import request
from spark_jobs.sales import lake_jobs, sum_facts, version_dimension

JOBS = {
    request.FactsRequest: sum_facts.run,
    request.DimensionRequest: version_dimension.run,
    request.LakeFactsRequest: lake_jobs.put_facts,
    request.LakeDimensionRequest: lake_jobs.put_dimension,
    request.LakeCheckRequest: lake_jobs.check,
    request.PartitionRequest: lake_jobs.partition,
}
