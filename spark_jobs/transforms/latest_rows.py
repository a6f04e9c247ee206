"""Latest rows (DESIGN 6): of each id in each file the one with the highest (timestamp, line). Pure: frames in, frames out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_jobs.transforms.query import query

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from include.feeds.finance.latest import Latest


def upserts(rows: DataFrame, latest: Latest) -> DataFrame:
    """Of each file and id the row that holds; rows also have `file_id`, `line` and `seq`."""
    return query(
        f"""select {", ".join(latest.upserts.names)}
            from (select *, row_number() over (partition by file_id, {latest.key} order by {latest.at} desc, line desc) as place
                  from {{rows}})
            where place = 1""",
        rows=rows,
    )


def counted(rows: DataFrame) -> DataFrame:
    """Of each file how many rows it has, in how many the timestamp has no zone, and the first line of these."""
    return query(
        """select file_id, count(*) as rows, count_if(without_zone) as unzoned, min(if(without_zone, line, null)) as first_line
           from {rows} group by file_id""",
        rows=rows,
    )
