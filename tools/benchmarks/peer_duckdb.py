"""What one machine can do: DuckDB on disk, one transaction a file, the same rules after each file.

No server, no cluster, no second reader while it writes: this is the limit, not an alternative. It reads the same objects from S3,
checks rows as the streaming peer does, and delivers its detections to S3.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from include.clients import s3_client
from sluice.runtime import settings
from tools.benchmarks.passes import answer, read_job
from tools.benchmarks.peer import PeerJob, folder_of, write_detections

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# No primary key on the state: an index would cost more than the joins of a few thousand rows.
_TABLES = """
create table weight as select merchant, customer, weight_nano from read_parquet($weights);
create table pair (merchant varchar, customer varchar, n bigint, cents bigint, gender varchar, weight_nano bigint);
create table detection (seq bigint, pattern varchar, merchant varchar, customer varchar)
"""

_PART = """
create or replace temp table part as
with numbered as (
    select *, row_number() over () as line
    from read_csv($file, header = true, quote = '''', delim = ',', columns = {
        'step': 'integer', 'customer': 'varchar', 'age': 'varchar', 'gender': 'varchar', 'zipcodeOri': 'varchar', 'merchant': 'varchar',
        'zipMerchant': 'varchar', 'category': 'varchar', 'amount': 'decimal(11,2)', 'fraud': 'varchar'}, ignore_errors = true)
)
select merchant, customer, count(*) as n, sum((amount * 100)::bigint)::bigint as cents, arg_min(gender, line) as gender
from numbered
where customer is not null and merchant is not null and step >= 0 and amount >= 0 and gender in ('F', 'M', 'E', 'U')
group by merchant, customer
"""

_GROW = """
update pair set n = pair.n + part.n, cents = pair.cents + part.cents
from part where (pair.merchant, pair.customer) = (part.merchant, part.customer)
"""

_ADD = """
insert into pair
select merchant, customer, n, cents, gender, weight_nano
from part anti join pair using (merchant, customer) left join weight using (merchant, customer)
"""

_DETECT = """
insert into detection
with here as (
    select pair.* from pair semi join part using (merchant)
), sums as (
    select merchant, sum(n) as total, count(*) filter (gender = 'F') as female, count(*) filter (gender = 'M') as male,
           round_even(quantile_cont(n, $top), 9) as least_n, round_even(quantile_cont(weight_nano, $bottom), 0) as most_nano
    from here group by merchant
), holding as (
    select 'PatId1' as pattern, merchant, customer from here join sums using (merchant)
    where total > $min_total and n >= least_n and weight_nano <= most_nano
    union all
    select 'PatId2', merchant, customer from here semi join part using (merchant, customer)
    where n >= $min_count and cents < $max_avg_cents * n
    union all
    select 'PatId3', merchant, '' from sums where female > $min_female and female < male
)
select $seq, pattern, merchant, customer from holding anti join detection using (pattern, merchant, customer)
"""


def take_all(job: PeerJob, name: str, client: S3Client) -> tuple[int, list[list[Any]]]:
    """Every file in the order of its key, each in a transaction; how many, and all detections."""
    folder = folder_of(job, f"duckdb_{name}")
    thresholds = {
        **{name: job.thresholds[name] for name in ("min_total", "min_count", "max_avg_cents", "min_female")},
        "top": 1 - job.thresholds["top"] / 100,
        "bottom": job.thresholds["bottom"] / 100,
    }
    with duckdb.connect(folder / "state.duckdb") as database, tempfile.TemporaryDirectory(dir=folder) as scratch:
        for statement in _TABLES.split(";"):
            database.execute(statement, {"weights": job.weights} if "$weights" in statement else None)
        local = Path(scratch) / "file.csv"
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=job.bucket, Prefix=job.prefix)
        found = sorted(entry["Key"] for page in pages for entry in page.get("Contents", ()))
        for seq, key in enumerate(found, start=1):
            local.write_bytes(client.get_object(Bucket=job.bucket, Key=key)["Body"].read())
            database.begin()
            database.execute(_PART, {"file": str(local)})
            database.execute(_GROW)
            database.execute(_ADD)
            database.execute(_DETECT, {**thresholds, "seq": seq})
            made = database.execute("select pattern, merchant, customer from detection where seq = $1 order by all", [seq]).fetchall()
            database.commit()
            write_detections(client, job, f"duckdb_{name}", seq, made)
        detections = database.execute("select seq, pattern, merchant, customer from detection").fetchall()
    return len(found), [list(row) for row in detections]


def main() -> None:
    job = read_job(PeerJob)
    client = s3_client(settings().s3)
    for number, name in enumerate(job.passes):
        begun = time.time() if number else job.started
        files, detections = take_all(job, name, client)
        answer(name=name, seconds=time.time() - begun, files=files, detections=detections)


if __name__ == "__main__":
    main()
