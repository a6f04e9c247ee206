-- Finance: the latest rows of stocks and mutual funds, as of any batch, and what follows from them. Changes with publications only.

create schema finance;
comment on schema finance is 'Silver and gold of stocks and mutual funds; a part of every publication of the feeds of the group finance.';

-- Latest rows ---------------------------------------------------------------------------------------------------------

create table finance.stock (
    stock_id          bigint not null,
    company_id        bigint not null,
    symbol            text,
    price             numeric(18, 6) not null check (price >= 0),
    volume            bigint not null check (volume >= 0),
    stock_timestamp   timestamptz not null,
    exchange          text,
    sector            text,
    additional_column json,
    seq               bigint not null,
    line              bigint not null,
    file_id           bigint not null,
    from_batch        bigint not null,
    to_batch          bigint check (to_batch > from_batch),
    primary key (stock_id, from_batch)
);
create unique index stock_newest on finance.stock (stock_id) where to_batch is null;
create index stock_company on finance.stock (company_id, from_batch);
create index stock_to_batch on finance.stock (to_batch);
comment on table finance.stock is 'The latest row of each stock by (timestamp, seq, line), as of each batch of the group: from_batch <= batch < to_batch.';
comment on column finance.stock.price is 'Exact, with 6 decimals.';
comment on column finance.stock.exchange is 'In JSON details.exchange.';
comment on column finance.stock.sector is 'In JSON details.sector.';
comment on column finance.stock.additional_column is 'What the file had beside the columns of the feed.';
comment on column finance.stock.seq is 'The seq, in the feed stocks, of the file that says so.';
comment on column finance.stock.line is 'Its line there.';
comment on column finance.stock.file_id is 'The file that says so.';
comment on column finance.stock.from_batch is 'The batch of the group that made it the latest.';
comment on column finance.stock.to_batch is 'The batch that brought a later one; null = it is the latest.';

create table finance.fund (
    fund_id           bigint not null,
    company_id        bigint not null,
    name              text,
    holdings          numeric(18, 6) not null check (holdings >= 0),
    fund_timestamp    timestamptz not null,
    additional_column json,
    seq               bigint not null,
    line              bigint not null,
    file_id           bigint not null,
    from_batch        bigint not null,
    to_batch          bigint check (to_batch > from_batch),
    primary key (fund_id, from_batch)
);
create unique index fund_newest on finance.fund (fund_id) where to_batch is null;
create index fund_company on finance.fund (company_id, from_batch);
create index fund_to_batch on finance.fund (to_batch);
comment on table finance.fund is 'The latest row of each mutual fund by (timestamp, seq, line), as of each batch of the group: from_batch <= batch < to_batch.';
comment on column finance.fund.holdings is 'Exact, with 6 decimals.';
comment on column finance.fund.additional_column is 'What the file had beside the columns of the feed.';
comment on column finance.fund.seq is 'The seq, in the feed mutual_funds, of the file that says so.';
comment on column finance.fund.line is 'Its line there.';
comment on column finance.fund.file_id is 'The file that says so.';
comment on column finance.fund.from_batch is 'The batch of the group that made it the latest.';
comment on column finance.fund.to_batch is 'The batch that brought a later one; null = it is the latest.';

create table finance.published_file (
    file_id bigint primary key,
    feed    text not null references feed,
    batch   bigint not null,
    rows    bigint not null check (rows >= 0),
    ids     bigint not null check (ids between 0 and rows)
);
comment on table finance.published_file is 'What each published file brought.';
comment on column finance.published_file.batch is 'The batch of the group that published it.';
comment on column finance.published_file.rows is 'Its accepted rows.';
comment on column finance.published_file.ids is 'How many different ids they have.';

create table finance.finding (
    file_id    bigint not null,
    "column"   text not null,
    what       text not null check (what in ('without_zone')),
    rows       bigint not null check (rows > 0),
    first_line bigint not null,
    primary key (file_id, "column", what)
);
comment on table finance.finding is 'What is unusual in the accepted rows of a file; they count all the same.';
comment on column finance.finding.what is 'without_zone = timestamps that do not say in what zone, taken as UTC.';
comment on column finance.finding.rows is 'In how many rows.';
comment on column finance.finding.first_line is 'The first line in which it is.';

-- Silver and gold, as of a batch --------------------------------------------------------------------------------------

create function finance.silver_as_of(batch bigint)
returns table (company_id bigint, stock_id bigint, symbol text, price numeric, volume bigint, stock_timestamp timestamptz, exchange text,
               sector text, fund_id bigint, name text, holdings numeric, fund_timestamp timestamptz, total_value numeric)
language sql stable
begin atomic
    select s.company_id, s.stock_id, s.symbol, s.price, s.volume, s.stock_timestamp, s.exchange, s.sector,
           f.fund_id, f.name, f.holdings, f.fund_timestamp, s.price * f.holdings
    from finance.stock s
    join finance.fund f on f.company_id = s.company_id
    where s.from_batch <= batch and (s.to_batch is null or s.to_batch > batch)
      and f.from_batch <= batch and (f.to_batch is null or f.to_batch > batch);
end;
comment on function finance.silver_as_of(bigint) is 'Silver as it was published with a batch of the group.';

create function finance.gold_business_aggregation_as_of(batch bigint)
returns table (company_id bigint, stock_id bigint, symbol text, price numeric, volume bigint, stock_timestamp timestamptz, exchange text,
               sector text, fund_id bigint, name text, holdings numeric, fund_timestamp timestamptz, total_value numeric,
               price_adjusted numeric)
language sql stable
begin atomic
    select s.*, round(s.price * 0.97, 4) from finance.silver_as_of(batch) s;
end;
comment on function finance.gold_business_aggregation_as_of(bigint) is 'Gold as it was published with a batch of the group.';

create function finance.gold_by_company_sector_exchange_day_as_of(batch bigint)
returns table (company_id bigint, sector text, exchange text, day date, stocks bigint, volume numeric)
language sql stable
begin atomic
    select s.company_id, s.sector, s.exchange, (s.stock_timestamp at time zone 'UTC')::date, count(*), sum(s.volume)
    from finance.stock s
    where s.from_batch <= batch and (s.to_batch is null or s.to_batch > batch)
      and exists (select from finance.fund f
                  where f.company_id = s.company_id and f.from_batch <= batch and (f.to_batch is null or f.to_batch > batch))
    group by s.company_id, s.sector, s.exchange, (s.stock_timestamp at time zone 'UTC')::date;
end;
comment on function finance.gold_by_company_sector_exchange_day_as_of(bigint) is 'The aggregates as they were published with a batch of the group.';

create function finance.company_without_partner_as_of(batch bigint)
returns table (company_id bigint, has text, ids bigint)
language sql stable
begin atomic
    select s.company_id, 'stocks', count(*)
    from finance.stock s
    where s.from_batch <= batch and (s.to_batch is null or s.to_batch > batch)
      and not exists (select from finance.fund f
                      where f.company_id = s.company_id and f.from_batch <= batch and (f.to_batch is null or f.to_batch > batch))
    group by s.company_id
    union all
    select f.company_id, 'mutual_funds', count(*)
    from finance.fund f
    where f.from_batch <= batch and (f.to_batch is null or f.to_batch > batch)
      and not exists (select from finance.stock s
                      where s.company_id = f.company_id and s.from_batch <= batch and (s.to_batch is null or s.to_batch > batch))
    group by f.company_id;
end;
comment on function finance.company_without_partner_as_of(bigint) is 'Companies that were not in silver as it was published with a batch of the group.';

-- Silver and gold, as they are ----------------------------------------------------------------------------------------

create view finance.silver as select * from finance.silver_as_of(9223372036854775806);
comment on view finance.silver is 'Each stock with each mutual fund of its company, as their latest rows say.';
comment on column finance.silver.total_value is 'price * holdings, exact.';

create view finance.gold_business_aggregation as select * from finance.gold_business_aggregation_as_of(9223372036854775806);
comment on view finance.gold_business_aggregation is 'Silver with what a buyer pays.';
comment on column finance.gold_business_aggregation.price_adjusted is '0.97 of the price, rounded half up to 4 decimals.';

create view finance.gold_by_company_sector_exchange_day as
select * from finance.gold_by_company_sector_exchange_day_as_of(9223372036854775806);
comment on view finance.gold_by_company_sector_exchange_day is 'Stocks that have a partner, each counted once, by the day of their latest row.';
comment on column finance.gold_by_company_sector_exchange_day.day is 'In UTC.';
comment on column finance.gold_by_company_sector_exchange_day.stocks is 'How many.';
comment on column finance.gold_by_company_sector_exchange_day.volume is 'The sum of their volumes.';

create view finance.company_without_partner as select * from finance.company_without_partner_as_of(9223372036854775806);
comment on view finance.company_without_partner is 'Companies of stocks without any mutual fund and the other way round: their rows wait, and are in neither silver nor gold.';
comment on column finance.company_without_partner.has is 'The feed whose rows there are.';
comment on column finance.company_without_partner.ids is 'How many stocks or funds.';

create view finance.proof as
with sums as (
    select p.feed,
           coalesce((select sum(accepted) from file f where f.feed = p.feed and f.state = 'published'), 0) as accepted_rows,
           coalesce((select sum(rows) from finance.published_file f where f.feed = p.feed), 0) as published_rows,
           (select count(*) from (select file_id, accepted from file f where f.feed = p.feed and f.state = 'published') a
            full join (select file_id, rows from finance.published_file f where f.feed = p.feed) b using (file_id)
            where a.accepted is distinct from b.rows) as files_that_differ
    from feed p where p.group_name = 'finance'
)
select *, files_that_differ = 0 and accepted_rows = published_rows as holds from sums;
comment on view finance.proof is 'Accepted lines of published files = rows that were looked at for silver and gold; a row a feed.';
comment on column finance.proof.accepted_rows is 'Lines that the gate accepted, of published files.';
comment on column finance.proof.files_that_differ is 'Files of which other rows were published than accepted.';
comment on column finance.proof.holds is 'Whether all is equal.';
