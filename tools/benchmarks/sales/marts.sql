create table customers_data_mart (
    customer_id bigint not null, full_name text, address text, phone_number text, sales_date_month date not null, total_sales numeric not null
);
create table sales_team_data_mart (
    store_id bigint not null, sales_person_id bigint not null, full_name text, sales_month text not null,
    total_sales numeric not null, incentive numeric
);
create table unresolved (file_id bigint not null, line bigint not null, column_name text not null, value text not null);
create table price_warning (file_id bigint not null, line bigint not null, product_id bigint not null, valid_from date not null)
