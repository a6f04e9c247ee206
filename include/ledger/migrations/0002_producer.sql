-- Mechanism X: how far each source was cut into chunks; and the references that are loaded beside the files.

-- The producer's position ---------------------------------------------------------------------------------------------

create table producer (
    bucket     text not null,
    prefix     text not null check (prefix ~ '/$' and prefix !~ '^/'),
    last_chunk bigint not null default 0 check (last_chunk >= 0),
    holder     text,
    held_since timestamptz,
    primary key (bucket, prefix)
);
comment on table producer is 'A landing prefix that chunks are written to. One producer at a time works on it, under an advisory lock.';
comment on column producer.last_chunk is 'The highest chunk number given; numbers go on whatever the source, so no key is used twice.';
comment on column producer.holder is 'Who took the prefix last; works on it now only where the advisory lock is held.';

create table producer_source (
    source_id bigint generated always as identity primary key,
    bucket    text not null,
    prefix    text not null,
    location  text not null,
    size      bigint,
    version   text not null,
    header    bytea not null,
    current   boolean not null default true,
    seen_at   timestamptz not null default clock_timestamp(),
    foreign key (bucket, prefix) references producer
);
create unique index producer_source_current on producer_source (bucket, prefix, location) where current;
comment on table producer_source is 'A file, URL or Drive file that chunks of a prefix are cut from, and how it was recognised when last seen.';
comment on column producer_source.location is 'Absolute path or URL, without passwords and signatures.';
comment on column producer_source.size is 'Bytes as it lies at its origin; null where the origin does not say.';
comment on column producer_source.version is 'What the origin gives to tell contents apart: time of modification, ETag, MD5. With equal size and version the bytes are taken to be the same.';
comment on column producer_source.header is 'Its first line with its line end, repeated at the head of every chunk.';
comment on column producer_source.current is 'False once the source was begun anew on request; its chunks stay.';

create table producer_chunk (
    bucket     text not null,
    prefix     text not null,
    number     bigint not null check (number > 0),
    source_id  bigint not null references producer_source,
    key        text not null,
    first_row  bigint not null check (first_row > 0),
    last_row   bigint not null check (last_row >= first_row),
    first_byte bigint not null check (first_byte > 0),
    end_byte   bigint not null check (end_byte > first_byte),
    sha256     text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    etag       text,
    planned_at timestamptz not null default clock_timestamp(),
    landed_at  timestamptz,
    primary key (bucket, prefix, number),
    unique (bucket, key),
    unique (source_id, first_row),
    unique (source_id, first_byte),
    check ((landed_at is null) = (etag is null)),
    foreign key (bucket, prefix) references producer
);
create unique index producer_chunk_one_pending on producer_chunk (source_id) where landed_at is null;
comment on table producer_chunk is 'Every chunk: planned here before it is written, marked landed after. A planned one is made again, byte for byte, after a crash.';
comment on column producer_chunk.first_row is 'Its first row of the source; the row after the header is 1, empty lines are not counted.';
comment on column producer_chunk.first_byte is 'Where its rows begin in the (decompressed) source.';
comment on column producer_chunk.end_byte is 'Where they end: where the next chunk begins.';
comment on column producer_chunk.sha256 is 'Of the object, header included; the same that the ledger has for the file.';
comment on column producer_chunk.landed_at is 'When the object was known to be there; null = planned, perhaps written.';

create function producer_chunk_joins() returns trigger language plpgsql as $$
begin
    if new.first_row > 1 and not exists (
        select from producer_chunk before
        where before.source_id = new.source_id and before.last_row = new.first_row - 1 and before.end_byte = new.first_byte
          and before.landed_at is not null
    ) then
        raise exception 'chunk % does not join the landed one before it: rows would be skipped or doubled', new.number
            using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger producer_chunk_joins after insert on producer_chunk for each row execute function producer_chunk_joins();

create view producer_position as
select s.bucket, s.prefix, s.location, s.source_id,
       count(c.number) filter (where c.landed_at is not null) as chunks,
       coalesce(max(c.last_row) filter (where c.landed_at is not null), 0) as rows,
       max(c.end_byte) filter (where c.landed_at is not null) as end_byte,
       max(c.number) filter (where c.landed_at is not null) as last_chunk,
       max(c.number) filter (where c.landed_at is null) as pending_chunk,
       max(c.landed_at) as landed_at
from producer_source s left join producer_chunk c using (source_id)
where s.current
group by s.source_id;
comment on view producer_position is 'How far each source was produced: the next row is rows + 1, at end_byte.';

-- References ------------------------------------------------------------------------------------------------------------

create table reference (
    feed      text not null references feed,
    name      text not null,
    version   integer not null check (version > 0),
    sha256    text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    rows      bigint not null check (rows > 0),
    rejected  bigint not null check (rejected >= 0),
    pairs     bigint not null check (pairs > 0),
    bucket    text not null,
    key       text not null unique,
    etag      text not null,
    after_seq bigint not null check (after_seq >= 0),
    source    text not null,
    contract_digest text not null,
    loaded_at timestamptz not null default clock_timestamp(),
    loaded_by text not null,
    run_id    text,
    primary key (feed, name, version),
    check (rejected < rows)
);
comment on table reference is 'Each loaded reference replaces the whole one before it, for the files after those registered when it was loaded.';
comment on column reference.version is 'Counts the loads, from 1; a batch records the one it used.';
comment on column reference.sha256 is 'Of the content that was loaded, after decompression.';
comment on column reference.rows is 'Rows of the content, rejected ones included.';
comment on column reference.rejected is 'Rows that break a rule of its contract and were left out.';
comment on column reference.pairs is 'Rows of the aggregate.';
comment on column reference.key is 'The exact Parquet object with the aggregate.';
comment on column reference.after_seq is 'It is in force for the seqs above this, up to the next version''s.';
comment on column reference.source is 'Where it was loaded from, without passwords and signatures.';

create function reference_guard() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        raise exception 'reference % version % was loaded and stays as it is', old.name, old.version;
    end if;
    if new.version > 1 and not exists (
        select from reference r
        where r.feed = new.feed and r.name = new.name and r.version = new.version - 1 and r.after_seq <= new.after_seq
    ) then
        raise exception 'reference % version % has no version before it, or reaches back behind it', new.name, new.version
            using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger reference_guard before insert or update or delete on reference for each row execute function reference_guard();
