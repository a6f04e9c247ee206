-- Sales: the star that people see, its marts, and what is unusual in it. All of it changes with the publication of a batch only.

create schema sales;
comment on schema sales is 'The star schema and the marts of sales; a part of every publication of the feeds of the group sales.';

-- Dimensions ----------------------------------------------------------------------------------------------------------

create table sales.dim_customer (
    customer_id           bigint not null,
    customer_key          bigint not null,
    first_name            text,
    last_name             text,
    full_name             text generated always as (coalesce(first_name || ' ' || last_name, first_name, last_name)) stored,
    address               text,
    pincode               text,
    phone_number          text,
    customer_joining_date timestamptz,
    additional_column     json,
    valid_from            date not null,
    valid_to              date check (valid_to > valid_from),
    seq                   bigint not null,
    line                  bigint not null,
    file_id               bigint not null,
    primary key (customer_id, valid_from)
);
comment on table sales.dim_customer is 'Customers as their newest row says, whatever the date of its file (type 1).';
comment on column sales.dim_customer.customer_key is 'The surrogate key: given once in order of appearance, and never to another customer.';
comment on column sales.dim_customer.full_name is 'First name, space, last name; where one is unknown the other.';
comment on column sales.dim_customer.additional_column is 'What the file had beside the columns of the feed.';
comment on column sales.dim_customer.valid_from is 'Always the beginning of time (0001-01-01): there is one version.';
comment on column sales.dim_customer.valid_to is 'Always null: there is one version, and it is open.';
comment on column sales.dim_customer.seq is 'The seq, in the feed customer, of the file that says so.';
comment on column sales.dim_customer.line is 'Its line there.';
comment on column sales.dim_customer.file_id is 'The file that says so.';

create table sales.dim_store (
    id                 bigint not null,
    store_key          bigint not null,
    address            text,
    store_pincode      text,
    store_manager_name text,
    store_opening_date timestamptz,
    reviews            text,
    additional_column  json,
    valid_from         date not null,
    valid_to           date check (valid_to > valid_from),
    seq                bigint not null,
    line               bigint not null,
    file_id            bigint not null,
    primary key (id, valid_from)
);
comment on table sales.dim_store is 'Stores as their newest row says, whatever the date of its file (type 1).';
comment on column sales.dim_store.store_key is 'The surrogate key: given once in order of appearance, and never to another store.';
comment on column sales.dim_store.additional_column is 'What the file had beside the columns of the feed.';
comment on column sales.dim_store.valid_from is 'Always the beginning of time (0001-01-01): there is one version.';
comment on column sales.dim_store.valid_to is 'Always null: there is one version, and it is open.';
comment on column sales.dim_store.seq is 'The seq, in the feed store, of the file that says so.';
comment on column sales.dim_store.line is 'Its line there.';
comment on column sales.dim_store.file_id is 'The file that says so.';

create table sales.dim_product (
    id                bigint not null,
    product_key       bigint not null,
    name              text not null,
    current_price     numeric(12, 2),
    old_price         numeric(12, 2),
    created_date      timestamptz,
    updated_date      timestamptz,
    expiry_date       timestamptz,
    additional_column json,
    valid_from        date not null,
    valid_to          date check (valid_to > valid_from),
    seq               bigint not null,
    line              bigint not null,
    file_id           bigint not null,
    primary key (id, valid_from)
);
create index dim_product_name on sales.dim_product (name, valid_from);
comment on table sales.dim_product is 'Products over the days (SCD type 2): half-open stretches without gaps.';
comment on column sales.dim_product.product_key is 'The surrogate key: given once to a product and the day its version is updated from, and never to another.';
comment on column sales.dim_product.current_price is 'The price in its stretch of days; facts with another are price warnings.';
comment on column sales.dim_product.old_price is 'As the file says; informative.';
comment on column sales.dim_product.additional_column is 'What the file had beside the columns of the feed.';
comment on column sales.dim_product.valid_from is 'The first day on which it holds; of the first version the beginning of time (0001-01-01).';
comment on column sales.dim_product.valid_to is 'The first day on which it no longer holds; null = open.';
comment on column sales.dim_product.seq is 'The seq, in the feed product, of the file that says so.';
comment on column sales.dim_product.line is 'Its line there.';
comment on column sales.dim_product.file_id is 'The file that says so.';

create table sales.dim_sales_team (
    id                bigint not null,
    sales_person_key  bigint not null,
    first_name        text,
    last_name         text,
    full_name         text generated always as (coalesce(first_name || ' ' || last_name, first_name, last_name)) stored,
    manager_id        bigint,
    is_manager        text,
    address           text,
    pincode           text,
    joining_date      timestamptz,
    store_id          bigint,
    additional_column json,
    valid_from        date not null,
    valid_to          date check (valid_to > valid_from),
    seq               bigint not null,
    line              bigint not null,
    file_id           bigint not null,
    primary key (id, valid_from)
);
create unique index dim_sales_team_newest on sales.dim_sales_team (id) where valid_to is null;
comment on table sales.dim_sales_team is 'Salespeople over the days (SCD type 2): half-open stretches without gaps.';
comment on column sales.dim_sales_team.sales_person_key is 'The surrogate key: given once to a person and the date of the file a version comes from, and never to another.';
comment on column sales.dim_sales_team.full_name is 'First name, space, last name; where one is unknown the other.';
comment on column sales.dim_sales_team.manager_id is 'Who manages the person; null or the person: nobody does.';
comment on column sales.dim_sales_team.store_id is 'Where the person works, when given; the store of a sale is the fact''s.';
comment on column sales.dim_sales_team.additional_column is 'What the file had beside the columns of the feed.';
comment on column sales.dim_sales_team.valid_from is 'The first day on which it holds; of the first version the beginning of time (0001-01-01).';
comment on column sales.dim_sales_team.valid_to is 'The first day on which it no longer holds; null = open.';
comment on column sales.dim_sales_team.seq is 'The seq, in the feed sales_team, of the file that says so.';
comment on column sales.dim_sales_team.line is 'Its line there.';
comment on column sales.dim_sales_team.file_id is 'The file that says so.';

-- Sums ----------------------------------------------------------------------------------------------------------------

create table sales.customer_month (
    customer_id bigint not null,
    sales_month date not null check (extract(day from sales_month) = 1),
    rows        bigint not null check (rows >= 0),
    total_sales numeric(38, 2) not null,
    primary key (customer_id, sales_month)
);
comment on table sales.customer_month is 'What each customer bought in each month, over all published facts.';
comment on column sales.customer_month.rows is 'How many facts; without any the row goes away.';

create table sales.seller_month (
    store_id        bigint not null,
    sales_month     date not null check (extract(day from sales_month) = 1),
    sales_person_id bigint not null,
    rows            bigint not null check (rows >= 0),
    total_sales     numeric(38, 2) not null,
    incentive       numeric(38, 2) not null default 0.00,
    primary key (store_id, sales_month, sales_person_id)
);
comment on table sales.seller_month is 'What each salesperson sold in each store (the fact''s) and month, over all published facts.';
comment on column sales.seller_month.rows is 'How many facts; without any the row goes away.';
comment on column sales.seller_month.incentive is 'One percent of the own total for the top seller of store and month, ties all; 0.00 for the others.';

create table sales.product_month (
    product_name text not null,
    sales_month  date not null check (extract(day from sales_month) = 1),
    rows         bigint not null check (rows >= 0),
    total_sales  numeric(38, 2) not null,
    primary key (product_name, sales_month)
);
comment on table sales.product_month is 'What was sold of each product name in each month, over all published facts.';
comment on column sales.product_month.rows is 'How many facts; without any the row goes away.';

create table sales.fact_file (
    file_id     bigint not null,
    sales_month date not null check (extract(day from sales_month) = 1),
    seq         bigint not null,
    rows        bigint not null check (rows > 0),
    total_sales numeric(38, 2) not null,
    primary key (file_id, sales_month)
);
comment on table sales.fact_file is 'The published facts of each file in force, by month.';
comment on column sales.fact_file.seq is 'The file''s place in the feed sales.';

-- What is unusual -----------------------------------------------------------------------------------------------------

create table sales.unresolved (
    file_id  bigint not null,
    line     bigint not null,
    "column" text not null check ("column" in ('customer_id', 'store_id', 'sales_person_id', 'product_name')),
    value    text not null,
    primary key (file_id, line, "column")
);
create index unresolved_value on sales.unresolved ("column", value);
comment on table sales.unresolved is 'Published facts that name a customer, store, salesperson or product that is unknown; they count all the same.';
comment on column sales.unresolved.file_id is 'The file of the fact.';
comment on column sales.unresolved.line is 'Its line there.';
comment on column sales.unresolved.value is 'What is unknown.';

create table sales.price_difference (
    file_id       bigint not null,
    line          bigint not null,
    product_name  text not null,
    product_id    bigint not null,
    valid_from    date not null,
    price         numeric(12, 2) not null,
    current_price numeric(12, 2) not null,
    primary key (file_id, line)
);
create index price_difference_name on sales.price_difference (product_name);
comment on table sales.price_difference is 'Published facts whose price is not that of the product''s version on their day; they count all the same.';
comment on column sales.price_difference.file_id is 'The file of the fact.';
comment on column sales.price_difference.line is 'Its line there.';
comment on column sales.price_difference.product_id is 'The product of that name on that day, the lowest where there are several.';
comment on column sales.price_difference.valid_from is 'Which version of it.';
comment on column sales.price_difference.price is 'The price of the fact.';
comment on column sales.price_difference.current_price is 'The price of the version.';

create view sales.price_warning as select file_id, line, product_id, valid_from from sales.price_difference;
comment on view sales.price_warning is 'Published facts whose price is not that of the product''s version on their day.';

create table sales.incentive_changes (
    store_id         bigint not null,
    sales_month      text not null check (sales_month ~ '^[0-9]{4}-[0-9]{2}$'),
    sales_person_id  bigint not null,
    incentive_before numeric(38, 2) not null,
    incentive_after  numeric(38, 2) not null check (incentive_after <> incentive_before),
    file_id          bigint not null,
    changed_at       timestamptz not null,
    primary key (store_id, sales_month, sales_person_id, file_id)
);
create index incentive_changes_file on sales.incentive_changes (file_id);
comment on table sales.incentive_changes is 'Every incentive that a file made another. Who has no sales in a store and month has an incentive of 0.00 there.';
comment on column sales.incentive_changes.sales_month is 'YYYY-MM.';
comment on column sales.incentive_changes.file_id is 'The file of facts that changed it, whatever batch it came in.';
comment on column sales.incentive_changes.changed_at is 'When the change became visible.';

-- State ---------------------------------------------------------------------------------------------------------------

create table sales.dimension_state (
    feed       text not null references feed,
    batch      bigint not null,
    name       text not null check (name in ('upserts', 'versions')),
    bucket     text not null,
    key        text not null unique,
    size       bigint not null,
    etag       text not null,
    rows       bigint not null,
    primary key (feed, batch, name)
);
comment on table sales.dimension_state is 'Pointers to the exact objects that hold a dimension after a batch of its feed; the newest batch is what is published.';
comment on column sales.dimension_state.batch is 'The batch of the group sales that made it.';
comment on column sales.dimension_state.name is 'upserts = every row ever accepted, with its surrogate key; versions = what holds.';
comment on column sales.dimension_state.key is 'The object; never a prefix.';

-- Marts ---------------------------------------------------------------------------------------------------------------

create view sales.customers_data_mart as
select m.customer_id, c.full_name, c.address, c.phone_number, m.sales_month as sales_date_month, m.total_sales
from sales.customer_month m left join sales.dim_customer c using (customer_id);
comment on view sales.customers_data_mart is 'What each customer bought in each month, under the customer''s current name; null where the customer is unknown.';
comment on column sales.customers_data_mart.sales_date_month is 'The first day of the month.';
comment on column sales.customers_data_mart.total_sales is 'The sum of total_cost.';

create view sales.sales_team_data_mart as
select m.store_id, m.sales_person_id, t.full_name, to_char(m.sales_month, 'YYYY-MM') as sales_month, m.total_sales, m.incentive
from sales.seller_month m left join sales.dim_sales_team t on t.id = m.sales_person_id and t.valid_to is null;
comment on view sales.sales_team_data_mart is 'What each salesperson sold in each store and month, under the newest name; null where the person is unknown.';
comment on column sales.sales_team_data_mart.store_id is 'The store of the sales, whatever store the person belongs to.';
comment on column sales.sales_team_data_mart.sales_month is 'YYYY-MM.';
comment on column sales.sales_team_data_mart.total_sales is 'The sum of total_cost.';
comment on column sales.sales_team_data_mart.incentive is 'One percent of the own total for the top seller of store and month, ties all; 0.00 for the others.';

create view sales.proof as
with sums as (
    select (select coalesce(sum(accepted), 0) from file where feed = 'sales' and state = 'published') as accepted_rows,
           f.rows as published_rows, f.total as published_total,
           c.rows as customers_rows, c.total as customers_total,
           s.rows as sellers_rows, s.total as sellers_total,
           p.rows as products_rows, p.total as products_total,
           (select count(*) from (select file_id, accepted from file where feed = 'sales' and state = 'published' and accepted > 0) a
            full join (select file_id, sum(rows) as rows from sales.fact_file group by file_id) b using (file_id)
            where a.accepted is distinct from b.rows) as files_that_differ
    from (select coalesce(sum(rows), 0) as rows, coalesce(sum(total_sales), 0) as total from sales.fact_file) f,
         (select coalesce(sum(rows), 0) as rows, coalesce(sum(total_sales), 0) as total from sales.customer_month) c,
         (select coalesce(sum(rows), 0) as rows, coalesce(sum(total_sales), 0) as total from sales.seller_month) s,
         (select coalesce(sum(rows), 0) as rows, coalesce(sum(total_sales), 0) as total from sales.product_month) p
)
select *,
       files_that_differ = 0 and accepted_rows = all (array[published_rows, customers_rows, sellers_rows, products_rows])
       and published_total = all (array[customers_total, sellers_total, products_total]) as holds
from sums;
comment on view sales.proof is 'Sum of the marts = sum of the published facts = sum of the accepted lines of files in force; one row.';
comment on column sales.proof.accepted_rows is 'Lines that the gate accepted, of published files.';
comment on column sales.proof.files_that_differ is 'Files whose published facts are not as many as their accepted lines.';
comment on column sales.proof.holds is 'Whether all of them are equal, in rows and in money.';

-- Comparisons of periods ----------------------------------------------------------------------------------------------

create view sales.store_month as
select store_id, sales_month, sum(rows) as rows, sum(total_sales) as total_sales from sales.seller_month group by store_id, sales_month;
comment on view sales.store_month is 'What each store sold in each month.';

create view sales.sales_person_month as
select sales_person_id, sales_month, sum(rows) as rows, sum(total_sales) as total_sales
from sales.seller_month group by sales_person_id, sales_month;
comment on view sales.sales_person_month is 'What each salesperson sold in each month, in whatever stores.';

create view sales.customer_comparison as
select m.customer_id, m.sales_month, m.total_sales,
       b.total_sales as month_before, m.total_sales - b.total_sales as month_change,
       round(100 * (m.total_sales - b.total_sales) / nullif(b.total_sales, 0), 2) as month_change_percent,
       y.total_sales as year_before, m.total_sales - y.total_sales as year_change,
       round(100 * (m.total_sales - y.total_sales) / nullif(y.total_sales, 0), 2) as year_change_percent
from sales.customer_month m
left join sales.customer_month b on b.customer_id = m.customer_id and b.sales_month = (m.sales_month - interval '1 month')::date
left join sales.customer_month y on y.customer_id = m.customer_id and y.sales_month = (m.sales_month - interval '1 year')::date;
comment on view sales.customer_comparison is 'Each customer''s months beside the month and the year before; null where there were no sales then.';

create view sales.store_comparison as
select m.store_id, m.sales_month, m.total_sales,
       b.total_sales as month_before, m.total_sales - b.total_sales as month_change,
       round(100 * (m.total_sales - b.total_sales) / nullif(b.total_sales, 0), 2) as month_change_percent,
       y.total_sales as year_before, m.total_sales - y.total_sales as year_change,
       round(100 * (m.total_sales - y.total_sales) / nullif(y.total_sales, 0), 2) as year_change_percent
from sales.store_month m
left join sales.store_month b on b.store_id = m.store_id and b.sales_month = (m.sales_month - interval '1 month')::date
left join sales.store_month y on y.store_id = m.store_id and y.sales_month = (m.sales_month - interval '1 year')::date;
comment on view sales.store_comparison is 'Each store''s months beside the month and the year before; null where there were no sales then.';

create view sales.product_comparison as
select m.product_name, m.sales_month, m.total_sales,
       b.total_sales as month_before, m.total_sales - b.total_sales as month_change,
       round(100 * (m.total_sales - b.total_sales) / nullif(b.total_sales, 0), 2) as month_change_percent,
       y.total_sales as year_before, m.total_sales - y.total_sales as year_change,
       round(100 * (m.total_sales - y.total_sales) / nullif(y.total_sales, 0), 2) as year_change_percent
from sales.product_month m
left join sales.product_month b on b.product_name = m.product_name and b.sales_month = (m.sales_month - interval '1 month')::date
left join sales.product_month y on y.product_name = m.product_name and y.sales_month = (m.sales_month - interval '1 year')::date;
comment on view sales.product_comparison is 'The months of each product name beside the month and the year before; null where there were no sales then.';

create view sales.sales_person_comparison as
select m.sales_person_id, m.sales_month, m.total_sales,
       b.total_sales as month_before, m.total_sales - b.total_sales as month_change,
       round(100 * (m.total_sales - b.total_sales) / nullif(b.total_sales, 0), 2) as month_change_percent,
       y.total_sales as year_before, m.total_sales - y.total_sales as year_change,
       round(100 * (m.total_sales - y.total_sales) / nullif(y.total_sales, 0), 2) as year_change_percent
from sales.sales_person_month m
left join sales.sales_person_month b
       on b.sales_person_id = m.sales_person_id and b.sales_month = (m.sales_month - interval '1 month')::date
left join sales.sales_person_month y
       on y.sales_person_id = m.sales_person_id and y.sales_month = (m.sales_month - interval '1 year')::date;
comment on view sales.sales_person_comparison is 'Each salesperson''s months beside the month and the year before; null where there were no sales then.';

-- Managers, and what is amiss in the dimensions -----------------------------------------------------------------------

create view sales.manager_hierarchy as
with recursive newest as (
    select id, manager_id from sales.dim_sales_team where valid_to is null
), up as (
    select id as sales_person_id, id as at, 0 as levels, array[id] as path, false as circular from newest
    union all
    select up.sales_person_id, n.manager_id, up.levels + 1, up.path || n.manager_id, n.manager_id = any (up.path)
    from up join newest n on n.id = up.at
    where n.manager_id is not null and n.manager_id <> n.id and not up.circular
)
select distinct on (up.sales_person_id)
       up.sales_person_id, n.manager_id, case when not up.circular then up.at end as root_id, up.levels, up.path, up.circular
from up join newest n on n.id = up.sales_person_id
order by up.sales_person_id, up.levels desc;
comment on view sales.manager_hierarchy is 'Each salesperson''s managers up to the top, by the newest versions. Who manages himself, or whom nobody manages, is a top.';
comment on column sales.manager_hierarchy.root_id is 'The top of the line; null where the line runs in a circle.';
comment on column sales.manager_hierarchy.levels is 'How many managers are above the person.';
comment on column sales.manager_hierarchy.path is 'The person, the manager, the manager''s manager and so on.';
comment on column sales.manager_hierarchy.circular is 'Whether the line runs in a circle.';

create view sales.finding as
select 'manager_cycle' as kind, sales_person_id::text as subject, 'is managed in a circle: ' || array_to_string(path, ' < ') as what
from sales.manager_hierarchy where circular and path[cardinality(path)] = sales_person_id
union all
select 'manager_unknown', sales_person_id::text, 'the line of managers ends with ' || root_id || ', who is not in the team'
from sales.manager_hierarchy h where root_id is not null and not exists (select from sales.dim_sales_team t where t.id = h.root_id)
union all
select distinct 'product_name_shared', a.name, format('is the name of the products %s and %s on the same days; facts mean the lowest', a.id, b.id)
from sales.dim_product a join sales.dim_product b
  on b.name = a.name and b.id > a.id
 and daterange(a.valid_from, a.valid_to) && daterange(b.valid_from, b.valid_to);
comment on view sales.finding is 'What is amiss in the dimensions and does not stop anything: managers in a circle or unknown, products that share a name.';
