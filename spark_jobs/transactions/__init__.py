"""The job of transactions, by what it is asked."""

from include.domains.transactions.request import DetectRequest
from spark_jobs.transactions import job

JOBS = {DetectRequest: job.run}
