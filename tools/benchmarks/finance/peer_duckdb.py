"""What one machine can do: DuckDB on local disk, with the same checks and the same results, and no server of its own.

It reads objects from S3, hashes them (equal bytes are taken once), decides every row by the contract, keeps the accepted ones as Parquet
and the refused ones with their reasons in S3, picks the latest row of each id, and writes silver, gold and the aggregates as Parquet. Left
out: a ledger of states and events, unknown keys, replay, silver as it was. Amounts pass through a double, which keeps the digits that
are generated; other files would want more care.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from include.clients import s3_client
from sluice.runtime import settings
from tools.benchmarks.finance.peer import AMOUNTS, CHECK, FUNDS, IDS, LATEST, STOCKS, TABLES, FinanceJob
from tools.benchmarks.passes import Stages, read_job

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_READ = {
    ".jsonl": r"""select row_number() over () as line, text from read_csv($file, header = false, columns = {'text': 'varchar'},
        delim = '\x01', quote = '', escape = '', auto_detect = false, max_line_size = 16777216)""",
    ".json": "select row_number() over () as line, json::varchar as text from read_json_objects($file, format = 'array')",
}
_SHAPES = {
    STOCKS: '{"stock_id": "varchar", "company_id": "varchar", "symbol": "varchar", "price": "double", "volume": "varchar", '
    '"timestamp": "varchar", "details": {"exchange": "varchar", "sector": "varchar"}}',
    FUNDS: '{"fund_id": "varchar", "name": "varchar", "company_id": "varchar", "holdings": "double", "timestamp": "varchar"}',
}

# What a row must keep; a row that breaks several keeps every reason.
_CHECKED = """
create or replace temp table checked as
with parsed as (
    select line, text, case when json_valid(text) then from_json(text, '{shape}') end as event from ({read})
), typed as (
    select line, text, event, try_cast(event.{amount} as decimal(18,6)) as amount,
           case when regexp_full_match(event.timestamp, '-?[0-9]{{1,15}}')
                then make_timestamp(event.timestamp::bigint
                    * case when abs(event.timestamp::bigint) >= 100000000000 then 1000 else 1000000 end) at time zone 'UTC'
                else try_cast(event.timestamp as timestamptz) end as instant
    from parsed
)
select *, concat_ws('; ',
    case when event is null then 'cannot be read' end,
    {rules}
    case when amount is null or amount < 0 then '{amount} is no amount' end,
    case when instant is null or instant < timestamptz '1990-01-01 00:00:00Z' or instant >= timestamptz '2101-01-01 00:00:00Z'
         then 'timestamp is no instant' end
) as reason
from typed
"""
_RULE = """case when event.{0} is null or not regexp_full_match(event.{0}, '{1}') or try_cast(event.{0} as bigint) is null
         then '{0} is no whole number' end,"""
_BIGINT = "try_cast(event.{0} as bigint) as {0}".format  # a cast may go before the choice of rows
_KEPT = {
    STOCKS: f"{_BIGINT('stock_id')}, {_BIGINT('company_id')}, event.symbol as symbol, amount as price, {_BIGINT('volume')}, "
    "instant as stock_timestamp, event.details.exchange as exchange, event.details.sector as sector",
    FUNDS: f"{_BIGINT('fund_id')}, {_BIGINT('company_id')}, event.name as name, amount as holdings, instant as fund_timestamp",
}
_AT = {STOCKS: "stock_timestamp", FUNDS: "fund_timestamp"}

_TABLES = {
    "silver": """
        select s.company_id, stock_id, symbol, price, volume, stock_timestamp, exchange, sector, fund_id, name, holdings, fund_timestamp,
               price::decimal(24,6) * holdings as total_value
        from stocks_latest s join mutual_funds_latest f using (company_id)""",
    "gold_business_aggregation": """
        select *, round(price * 0.97::decimal(3,2), 4)::decimal(18,4) as price_adjusted from silver""",
    "gold_by_company_sector_exchange_day": """
        select company_id, sector, exchange, (stock_timestamp at time zone 'UTC')::date as day, count(*) as stocks,
               sum(volume)::decimal(38,0) as volume
        from stocks_latest s semi join mutual_funds_latest f using (company_id) group by all""",
}


class Desk:
    def __init__(self, job: FinanceJob, database: duckdb.DuckDBPyConnection, client: S3Client) -> None:
        self._job, self._database, self._s3 = job, database, client
        self._folder = Path(job.folder)
        self._taken: set[str] = set()

    def check(self, feed: str) -> tuple[list[str], int]:
        """Decide the rows of every file whose bytes are new; the local copies of what was accepted, and how many rows were refused."""
        kept, refused = [], 0
        for seq, key in enumerate(self._job.files[feed], start=1):
            local = self._folder / key.rpartition("/")[2]
            self._s3.download_file(self._job.bucket, key, str(local))
            with local.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if digest in self._taken:
                continue
            self._taken.add(digest)
            self._database.execute(checking(feed, local.suffix), {"file": str(local)})
            local.unlink()
            bronze = self._folder / f"{feed}-{seq}.parquet"
            accepted = f"select {_KEPT[feed]}, {seq}::bigint as seq, line from checked where reason = '' order by line"
            self._write(accepted, bronze, f"clean/{feed}/{bronze.name}")
            kept.append(str(bronze))
            rejected = self._one("select count(*) from checked where reason <> ''")
            if rejected:
                self._write(
                    "select line, reason, text from checked where reason <> '' order by line", None, f"rejects/{feed}/{seq}.parquet"
                )
            refused += rejected
        return kept, refused

    def latest(self, feed: str, bronze: list[str]) -> None:
        """The row of each id that holds."""
        self._database.execute(
            f"create table {feed}_latest as select * from read_parquet($bronze) "
            f"qualify row_number() over (partition by {IDS[feed]} order by {_AT[feed]} desc, seq desc, line desc) = 1",
            {"bronze": bronze},
        )
        self._write(f"select * from {feed}_latest", None, f"latest/{feed}.parquet")

    def tables(self) -> None:
        """Silver, gold and the aggregates, in order of their rows."""
        self._database.execute(f"create table silver as {_TABLES['silver']}")
        for name, query in {**_TABLES, "silver": "select * from silver"}.items():
            self._write(f"select * from ({query}) order by all", None, f"{name}/part.parquet")

    def _write(self, query: str, local: Path | None, name: str) -> None:
        path = local or self._folder / "written.parquet"
        self._database.execute(f"copy ({query}) to '{path}' (format parquet, compression snappy)")
        self._s3.upload_file(str(path), self._job.bucket, f"{self._job.lake}{name}")

    def _one(self, query: str) -> Any:
        return self._database.execute(query).fetchall()[0][0]


def checking(feed: str, ending: str) -> str:
    whole = {IDS[feed]: "-?[0-9]{1,19}", "company_id": "-?[0-9]{1,19}"} | ({"volume": "[0-9]{1,19}"} if feed == STOCKS else {})
    rules = "\n    ".join(_RULE.format(column, pattern) for column, pattern in whole.items())
    return _CHECKED.format(read=_READ[ending], amount=AMOUNTS[feed], rules=rules, shape=_SHAPES[feed])


def main() -> None:
    job, stages, where = read_job(FinanceJob), Stages(), settings()
    with duckdb.connect(Path(job.folder) / "desk.duckdb") as database:
        database.execute("set TimeZone = 'UTC'")
        desk = Desk(job, database, s3_client(where.s3))
        with stages.stage(CHECK):
            checked = {feed: desk.check(feed) for feed in job.files}
        with stages.stage(LATEST):
            for feed, (bronze, _) in checked.items():
                desk.latest(feed, bronze)
        with stages.stage(TABLES):
            desk.tables()
    stages.answer(rejected=sum(refused for _, refused in checked.values()))


if __name__ == "__main__":
    main()
