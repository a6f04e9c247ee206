-- The streaming peer's tables; every statement of a pass runs in a schema of its own.

create table weight (
    merchant    text not null,
    customer    text not null,
    weight_nano bigint not null,
    primary key (merchant, customer)
);

-- Room on the pages, so that an update of a row stays on its page and off the index.
create table pair (
    merchant    text not null,
    customer    text not null,
    n           bigint not null,
    cents       bigint not null,
    gender      text not null,
    weight_nano bigint,
    primary key (merchant, customer)
) with (fillfactor = 60);

create table merchant (
    merchant text primary key,
    total    bigint not null,
    female   bigint not null,
    male     bigint not null
) with (fillfactor = 60);

create table detection (
    seq         bigint not null,
    pattern     text not null,
    merchant    text not null,
    customer    text not null,
    detected_at timestamptz not null default clock_timestamp(),
    primary key (pattern, merchant, customer)
);

create table done (
    seq          bigint primary key,
    file         text not null,
    delivered_at timestamptz
);
