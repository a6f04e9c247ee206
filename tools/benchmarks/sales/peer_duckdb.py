"""What one machine can do: DuckDB on local disk, with the same checks and the same writes as ours, and no server of its own.

It reads objects from S3, hashes them (equal bytes are taken once), decides every row by the contract, keeps the accepted ones as Parquet
and the refused ones with their reasons in S3, adds to both marts in PostgreSQL in one transaction, lists unknown keys and unlike prices,
and writes the star with all columns that ours has as a Delta table by month: Parquet, and a commit written by hand. Left out: a ledger of
states and events, replay, late product versions, superseded files, and a table that two can write.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg

from include.clients import ledger_connection, s3_client
from include.files.keys import date_in
from sluice.runtime import settings
from tools.benchmarks.passes import Stages, read_job
from tools.benchmarks.sales.peer import CHECK, LAKE, MARTS, SalesJob

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_KEYS = {"customer": "customer_id", "store": "id", "product": "id", "sales_team": "id"}

# What a row must keep; a row that breaks several keeps every reason.
_CHECKED = r"""
create or replace temp table checked as
with read as (
    select row_number() over () + 1 as line, *
    from read_csv($file, header = true, all_varchar = true, delim = ',', quote = '"', escape = '"', null_padding = false,
                  parallel = true, max_line_size = 16777216)
), typed as (
    select *, try_cast(price as decimal(12,2)) as p, try_cast(total_cost as decimal(12,2)) as t,
           try_cast(quantity as bigint) as q, try_cast(sales_date as date) as d
    from read
)
select *, concat_ws('; ',
    case when customer_id is null or not regexp_full_match(customer_id, '-?[0-9]{1,19}')
              or try_cast(customer_id as bigint) is null then 'customer_id is no whole number' end,
    case when store_id is null or not regexp_full_match(store_id, '-?[0-9]{1,19}')
              or try_cast(store_id as bigint) is null then 'store_id is no whole number' end,
    case when sales_person_id is null or not regexp_full_match(sales_person_id, '-?[0-9]{1,19}')
              or try_cast(sales_person_id as bigint) is null then 'sales_person_id is no whole number' end,
    case when product_name is null then 'product_name is null' end,
    case when quantity is null or not regexp_full_match(quantity, '[0-9]{1,19}') or q is null or q < 1
         then 'quantity is no whole number from 1' end,
    case when price is null or not regexp_full_match(price, '[0-9]{1,9}(\.[0-9]{1,2})?') then 'price is no amount' end,
    case when total_cost is null or not regexp_full_match(total_cost, '[0-9]{1,9}(\.[0-9]{1,2})?') then 'total_cost is no amount' end,
    case when sales_date is null or not regexp_full_match(sales_date, '[0-9]{4}-[0-9]{2}-[0-9]{2}') or d is null
         then 'sales_date is no date' end,
    case when d > $day::date + 1 then 'sales_date is after its file' end,
    case when p is not null and q is not null and t is not null and t <> p * q then 'total_cost is not price * quantity' end
) as reason
from typed
"""

_ACCEPTED = """
copy (
    select customer_id::bigint as customer_id, store_id::bigint as store_id, product_name, d as sales_date,
           sales_person_id::bigint as sales_person_id, p as price, q as quantity, t as total_cost,
           null::varchar as additional_column, {file_id}::bigint as _file_id, line as _line
    from checked where reason = '' order by line
) to '{path}' (format parquet, compression snappy)
"""
_REJECTED = "copy (select * exclude (p, t, q, d) from checked where reason <> '' order by line) to '{path}' (format csv, header)"

_STAR = """
create or replace temp table star as
select f.*, c.surrogate as customer_sk, s.surrogate as store_sk, p.surrogate as product_sk, t.surrogate as sales_team_sk,
       p.id as product_id, p.current_price as version_price, p.valid_from as product_valid_from
from read_parquet($bronze) f
left join customer c using (customer_id)
left join store s on s.id = f.store_id
left join (select *, row_number() over (partition by name order by id) as nth from product) p on p.name = f.product_name and p.nth = 1
left join sales_team t on t.id = f.sales_person_id
"""

_UNRESOLVED = """
select _file_id, _line, name, value from (
    select _file_id, _line, 'customer_id' as name, customer_id::varchar as value from star where customer_sk is null
    union all select _file_id, _line, 'store_id', store_id::varchar from star where store_sk is null
    union all select _file_id, _line, 'product_name', product_name from star where product_sk is null
    union all select _file_id, _line, 'sales_person_id', sales_person_id::varchar from star where sales_team_sk is null)
"""
_WARNINGS = "select _file_id, _line, product_id, product_valid_from from star where price <> version_price"

_BY_CUSTOMER = """
select customer_id, any_value(c.full_name), any_value(c.address), any_value(c.phone_number),
       date_trunc('month', sales_date)::date as month, sum(total_cost) as total
from read_parquet($bronze) f left join customer c using (customer_id) group by customer_id, month
"""
_BY_SELLER = """
select f.store_id, sales_person_id, any_value(t.full_name), strftime(sales_date, '%Y-%m') as month, sum(total_cost) as total
from read_parquet($bronze) f left join sales_team t on t.id = f.sales_person_id group by f.store_id, sales_person_id, month
"""

_FACTS = {
    "date_key": "integer",
    **dict.fromkeys(("customer_sk", "store_sk", "product_sk", "sales_team_sk", "customer_id", "store_id"), "long"),
    "product_name": "string",
    "sales_date": "date",
    "sales_person_id": "long",
    "price": "decimal(12,2)",
    "quantity": "long",
    "total_cost": "decimal(12,2)",
    "additional_column": "string",
    "_file_id": "long",
    "_line": "long",
    "sales_month": "string",
}
_LAKE_FACTS = f"""
select {", ".join(_FACTS)} from (
    select *, strftime(sales_date, '%Y%m%d')::integer as date_key, strftime(sales_date, '%Y-%m') as sales_month from star)
"""

_PREPARE = """
create unique index customers_key on customers_data_mart (customer_id, sales_date_month);
create unique index team_key on sales_team_data_mart (store_id, sales_person_id, sales_month)
"""
_ADD_CUSTOMERS = """
insert into customers_data_mart as mart select * from customer_part
on conflict (customer_id, sales_date_month) do update set total_sales = mart.total_sales + excluded.total_sales
"""
_ADD_TEAM = """
insert into sales_team_data_mart as mart select *, 0.00 from team_part
on conflict (store_id, sales_person_id, sales_month) do update set total_sales = mart.total_sales + excluded.total_sales
"""
_INCENTIVES = """
update sales_team_data_mart mart
set incentive = case when total_sales = top then round(total_sales / 100, 2) else 0.00 end
from (select store_id, sales_month, max(total_sales) as top from sales_team_data_mart
      where (store_id, sales_month) in (select store_id, sales_month from team_part) group by store_id, sales_month) best
where (mart.store_id, mart.sales_month) = (best.store_id, best.sales_month)
"""


class Shop:
    def __init__(self, job: SalesJob, database: duckdb.DuckDBPyConnection, client: S3Client, ledger: psycopg.Connection) -> None:
        self._job, self._database, self._s3, self._ledger = job, database, client, ledger
        self._folder = Path(job.folder)

    def prepare(self) -> None:
        self._database.execute(
            "create table if not exists taken (file_id bigint, key varchar, sha256 varchar, lines bigint, rejected bigint)"
        )
        if self._job.fresh:
            self._ledger.execute(f"drop schema if exists {self._job.schema} cascade")
            self._ledger.execute(f"create schema {self._job.schema}")
        self._ledger.execute(f"set search_path = {self._job.schema}")
        if self._job.fresh:
            self._ledger.execute(Path(__file__).with_name("marts.sql").read_text())
            self._ledger.execute(_PREPARE)

    def dimensions(self) -> None:
        """Each dimension as it stands, with surrogate keys, to the lake."""
        for feed, keys in self._job.dimensions.items():
            files = [str(self._download(key)) for key in keys]
            key = _KEYS[feed]
            name = ", concat_ws(' ', first_name, last_name) as full_name" if feed in {"customer", "sales_team"} else ""
            since = ", date '0001-01-01' as valid_from, null::date as valid_to" if feed in {"product", "sales_team"} else ""
            self._database.execute(
                f"create or replace table {feed} as select row_number() over (order by {key}) as surrogate, *{name}{since} "
                "from read_csv($files, header = true, types = $types)",
                {"files": files, "types": _TYPES[feed]},
            )
            self._write(f"select * from {feed}", f"dim_{feed}.parquet")

    def check(self) -> list[str]:
        """Decide the rows of every file whose bytes are new; the local copies of what was accepted."""
        kept = []
        for key in self._job.facts:
            local = self._download(key)
            with local.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if self._one("select count(*) from taken where sha256 = $1", digest):
                continue
            file_id = self._one("select count(*) from taken") + 1
            self._database.execute(_CHECKED, {"file": str(local), "day": str(date_in(key))})
            local.unlink()
            bronze = self._folder / f"bronze-{file_id}.parquet"
            self._database.execute(_ACCEPTED.format(file_id=file_id, path=bronze))
            self._s3.upload_file(str(bronze), self._job.bucket, f"{self._job.lake}bronze/{bronze.name}")
            lines, rejected = self._database.execute("select count(*), count(*) filter (reason <> '') from checked").fetchall()[0]
            if rejected:
                self._put_rejects(file_id)
            self._database.execute("insert into taken values ($1, $2, $3, $4, $5)", [file_id, key, digest, lines, rejected])
            kept.append(str(bronze))
        return kept

    def marts(self, bronze: list[str]) -> None:
        """Add what the new files say, and the incentives of the stores and months they touch, in one transaction."""
        by_customer = self._database.execute(_BY_CUSTOMER, {"bronze": bronze}).fetchall()
        by_seller = self._database.execute(_BY_SELLER, {"bronze": bronze}).fetchall()
        self._database.execute(_STAR, {"bronze": bronze})
        unresolved, warnings = self._database.execute(_UNRESOLVED).fetchall(), self._database.execute(_WARNINGS).fetchall()
        with self._ledger.transaction(), self._ledger.cursor() as cursor:
            for part, mart, columns, rows in (
                ("customer_part", "customers_data_mart", "*", by_customer),
                ("team_part", "sales_team_data_mart", "store_id, sales_person_id, full_name, sales_month, total_sales", by_seller),
            ):
                cursor.execute(f"create temp table {part} on commit drop as select {columns} from {mart} with no data")
                _copy(cursor, part, rows)
            cursor.execute(_ADD_CUSTOMERS)
            cursor.execute(_ADD_TEAM)
            cursor.execute(_INCENTIVES)
            _copy(cursor, "unresolved", unresolved)
            _copy(cursor, "price_warning", warnings)

    def lake(self, bronze: list[str]) -> None:
        """The new facts with their surrogate keys, by month, as one commit."""
        facts = self._folder / "fact_sales"
        self._database.execute(
            f"copy ({_LAKE_FACTS}) to '{facts}' (format parquet, compression snappy, partition_by (sales_month), overwrite_or_ignore)"
        )
        first = min(int(Path(path).stem.partition("-")[2]) for path in bronze)
        table, added = f"{self._job.lake}fact_sales/", []
        for path in sorted(facts.rglob("*.parquet")):
            name = f"{path.parent.name}/{first:06d}-{path.name}"
            rows = self._one("select count(*) from read_parquet($1)", str(path))
            added.append(_added(name, path.parent.name.partition("=")[2], path.stat().st_size, rows))
            self._s3.upload_file(str(path), self._job.bucket, f"{table}{name}")
            path.unlink()
        log = f"{table}_delta_log/"
        version = self._s3.list_objects_v2(Bucket=self._job.bucket, Prefix=log).get("KeyCount", 0)
        actions = [*([] if version else _first_actions()), *added]
        body = "".join(json.dumps(action) + "\n" for action in actions).encode()
        self._s3.put_object(Bucket=self._job.bucket, Key=f"{log}{version:020d}.json", Body=body, IfNoneMatch="*")

    def _download(self, key: str) -> Path:
        local = self._folder / key.rpartition("/")[2]
        self._s3.download_file(self._job.bucket, key, str(local))
        return local

    def _put_rejects(self, file_id: int) -> None:
        rejects = self._folder / "rejects.csv"
        self._database.execute(_REJECTED.format(path=rejects))
        self._s3.upload_file(str(rejects), self._job.bucket, f"{self._job.lake}rejects/{file_id}.csv")

    def _write(self, query: str, name: str) -> None:
        with tempfile.NamedTemporaryFile(suffix=".parquet") as local:
            self._database.execute(f"copy ({query}) to '{local.name}' (format parquet, compression snappy)")
            self._s3.upload_file(local.name, self._job.bucket, f"{self._job.lake}{name}")

    def _one(self, query: str, *values: Any) -> Any:
        return self._database.execute(query, list(values)).fetchall()[0][0]


_TYPES: dict[str, dict[str, str]] = {
    "customer": {"customer_id": "bigint", "pincode": "varchar", "phone_number": "varchar", "customer_joining_date": "date"},
    "store": {"id": "bigint", "store_pincode": "varchar", "store_opening_date": "date"},
    "product": {
        "id": "bigint",
        "current_price": "decimal(12,2)",
        "old_price": "decimal(12,2)",
        "created_date": "date",
        "updated_date": "date",
        "expiry_date": "date",
    },
    "sales_team": {"id": "bigint", "manager_id": "bigint", "pincode": "varchar", "joining_date": "date", "store_id": "bigint"},
}


def _first_actions() -> Iterator[dict[str, Any]]:
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in _FACTS.items()]
    yield {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
    yield {
        "metaData": {
            "id": str(uuid.uuid4()),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}),
            "partitionColumns": ["sales_month"],
            "configuration": {},
            "createdTime": int(time.time() * 1000),
        }
    }


def _added(name: str, month: str, size: int, rows: int) -> dict[str, Any]:
    return {
        "add": {
            "path": name,
            "partitionValues": {"sales_month": month},
            "size": size,
            "modificationTime": int(time.time() * 1000),
            "dataChange": True,
            "stats": json.dumps({"numRecords": rows}),
        }
    }


def _copy(cursor: psycopg.Cursor, table: str, rows: list[Any]) -> None:
    with cursor.copy(f"copy {table} from stdin") as copy:
        for row in rows:
            copy.write_row(row)


def main() -> None:
    job, stages, where = read_job(SalesJob), Stages(), settings()
    with duckdb.connect(Path(job.folder) / "shop.duckdb") as database, ledger_connection(where.ledger) as ledger:
        database.execute("set threads = 2")
        shop = Shop(job, database, s3_client(where.s3), ledger)
        shop.prepare()
        with stages.stage(LAKE):
            shop.dimensions()
        with stages.stage(CHECK):
            bronze = shop.check()
        if bronze:
            with stages.stage(MARTS):
                shop.marts(bronze)
            with stages.stage(LAKE):
                shop.lake(bronze)
    stages.answer()


if __name__ == "__main__":
    main()
