-- Delivery: a lease of its own, which no publication waits for, and what failed of it and rests.

create table delivery (
    group_name   text primary key references feed_group,
    lease_holder text,
    lease_token  bigint not null default 0,
    lease_until  timestamptz,
    check ((lease_holder is null) = (lease_until is null))
);
comment on table delivery is 'Who delivers what a group of feeds published or refused: a lease beside that of feed_group, so that nothing waits for a slow delivery.';
comment on column delivery.lease_holder is 'The run that delivers now, or null.';
comment on column delivery.lease_token is 'Grows with every taking and letting go, by the clock too, so that a restored ledger gives none twice; a write under another one is refused.';
comment on column delivery.lease_until is 'When the lease runs out unless renewed.';

create table delivery_failure (
    group_name text not null references feed_group,
    item       text not null,
    failures   integer not null check (failures > 0),
    since      timestamptz not null,
    retry_at   timestamptz not null,
    what       text not null,
    primary key (group_name, item)
);
comment on table delivery_failure is 'What could not be delivered while the services answer, one row an item; the row goes when the item is delivered.';
comment on column delivery_failure.item is 'What it is: a file by its id, a batch by its number, the merging of a feed''s state.';
comment on column delivery_failure.failures is 'How often it failed in a row.';
comment on column delivery_failure.since is 'When it failed first.';
comment on column delivery_failure.retry_at is 'When it is tried again; nothing else waits for it.';
comment on column delivery_failure.what is 'What failed the last time, in words.';
