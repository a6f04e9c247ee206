"""The job of finance, by what it is asked."""

from include.domains.finance.request import LatestRequest
from spark_jobs.finance import job

JOBS = {LatestRequest: job.run}
