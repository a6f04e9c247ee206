-- The ledger: every file, its state, every change of state, every batch. It never forgets.

create type file_state as enum
    ('registered', 'accepted', 'published', 'quarantined', 'duplicate', 'superseded', 'replaying', 'discarded');
create type file_location as enum ('landing', 'error', 'archive', 'overwritten', 'gone');
create type batch_state as enum ('open', 'published', 'abandoned');

-- Feeds, their sources, their lease ---------------------------------------------------------------------------------

create table feed_group (
    group_name    text primary key,
    lease_holder  text,
    lease_token   bigint not null default 0,
    lease_until   timestamptz,
    last_batch    bigint not null default 0,
    state_version bigint not null default 0,
    check ((lease_holder is null) = (lease_until is null))
);
comment on table feed_group is 'Feeds that share published tables: one lease, one batch sequence, one state version.';
comment on column feed_group.lease_holder is 'The run that works on the group now, or null.';
comment on column feed_group.lease_token is 'Grows with every taking and letting go; a write under an older token is refused.';
comment on column feed_group.lease_until is 'When the lease runs out unless renewed.';
comment on column feed_group.last_batch is 'The number of the newest batch.';
comment on column feed_group.state_version is 'Grows by one with every publish; publish checks the one it read.';

create table feed (
    feed          text primary key,
    group_name    text not null references feed_group,
    last_seq      bigint not null default 0 check (last_seq >= 0),
    paused_at     timestamptz,
    paused_by     text,
    last_sweep_at timestamptz
);
comment on table feed is 'One kind of incoming file.';
comment on column feed.last_seq is 'The seq of the newest registered file; the next is one more, given under this row''s lock.';
comment on column feed.paused_at is 'Since when nothing of the feed is ingested, or null.';
comment on column feed.last_sweep_at is 'When everything below the feed''s sources was listed last.';

create table feed_source (
    feed   text not null references feed,
    bucket text not null,
    prefix text not null check (prefix ~ '/$' and prefix !~ '^/'),
    active boolean not null default true,
    primary key (feed, bucket, prefix)
);
comment on table feed_source is 'Where the files of a feed arrive. A new source is a row, not a release.';
comment on column feed_source.prefix is 'Ends with a slash: a folder of the bucket.';

-- Files ---------------------------------------------------------------------------------------------------------------

create table file (
    file_id         bigint generated always as identity primary key,
    feed            text not null references feed,
    seq             bigint not null check (seq > 0),
    bucket          text not null,
    key             text not null,
    version         integer not null check (version > 0),
    latest          boolean not null default true,
    etag            text not null,
    size            bigint not null check (size >= 0),
    last_modified   timestamptz not null,
    date            date not null,
    state           file_state not null default 'registered',
    reason_code     text,
    reason          text,
    duplicate_of    bigint references file,
    sha256          text check (sha256 ~ '^[0-9a-f]{64}$'),
    lines           bigint check (lines >= 0),
    accepted        bigint check (accepted >= 0),
    rejected        bigint check (rejected >= 0),
    bronze          jsonb not null default '[]',
    bronze_digest   text,
    rejects         jsonb,
    touched         text[],
    report          jsonb,
    location        file_location not null default 'landing',
    location_key    text,
    group_name      text,
    batch           bigint,
    registered_at   timestamptz not null default clock_timestamp(),
    judged_at       timestamptz,
    published_at    timestamptz,
    delivered_at    timestamptz,
    code_version    text,
    contract_digest text,
    suite_digest    text,
    unique (feed, seq),
    unique (feed, bucket, key, version),
    check ((lines is null) = (accepted is null) and (lines is null) = (rejected is null)),
    check (lines = accepted + rejected),
    check (state not in ('accepted', 'published') or (sha256 is not null and lines is not null)),
    check ((state = 'duplicate') = (duplicate_of is not null)),
    check (state <> 'quarantined' or reason is not null),
    check (state <> 'published' or (batch is not null and published_at is not null))
);
create unique index file_latest on file (feed, bucket, key) where latest;
create unique index file_same_bytes on file (feed, sha256) where state in ('accepted', 'published');
create index file_waiting on file (feed, seq) where state in ('registered', 'accepted', 'replaying');
create index file_undelivered on file (feed, seq) where delivered_at is null;
create index file_quarantined on file (feed, sha256) where state = 'quarantined';
create index file_batch on file (group_name, batch);
comment on table file is 'One object at one content. A known key with other bytes is another file, a version of its key.';
comment on column file.seq is 'The file''s place in its feed''s order: dense, given once, never changed.';
comment on column file.version is 'Counts the contents seen under this key, from 1.';
comment on column file.latest is 'Whether this is the newest version of its key.';
comment on column file.etag is 'The content as the listing named it; every read is pinned to it.';
comment on column file.size is 'Bytes of the object.';
comment on column file.date is 'The date in its key (dt=), else the UTC date of its last modification.';
comment on column file.reason_code is 'Why it was refused, as a word of include/ingestion/verdict.py.';
comment on column file.reason is 'Why it was refused or is a duplicate, in one sentence.';
comment on column file.sha256 is 'Of the raw bytes of the object; the gate adds it.';
comment on column file.lines is 'Records read; null where reading stopped. lines = accepted + rejected, always.';
comment on column file.bronze is 'The exact Parquet objects that hold the accepted rows.';
comment on column file.bronze_digest is 'sha256 over the logical accepted rows, whatever Parquet made of them.';
comment on column file.rejects is 'The object with the rejected rows under the gate''s attempt, or null.';
comment on column file.touched is 'The distinct values of the feed''s touch column in the accepted rows; null = too many to name.';
comment on column file.report is 'What report.json says.';
comment on column file.location is 'Where the original bytes lie now.';
comment on column file.location_key is 'Their key there, where it is not the landing key.';
comment on column file.batch is 'The batch that takes or took the file, a number of its group.';
comment on column file.delivered_at is 'When everything that follows publication or refusal was done for it.';
comment on column file.code_version is 'The version of Sluice that judged it.';
comment on column file.contract_digest is 'The contract that judged it.';
comment on column file.suite_digest is 'The Great Expectations suite that judged it.';

create table file_move (
    from_state file_state,
    to_state   file_state not null,
    unique nulls not distinct (from_state, to_state)
);
comment on table file_move is 'The moves a file may make; any other is refused. from_state null = registration.';
insert into file_move values
    (null, 'registered'),
    ('registered', 'accepted'), ('registered', 'quarantined'), ('registered', 'duplicate'),
    ('accepted', 'published'), ('published', 'superseded'),
    ('quarantined', 'replaying'), ('quarantined', 'discarded'),
    ('replaying', 'accepted'), ('replaying', 'quarantined');

create table file_event (
    event_id   bigint generated always as identity primary key,
    file_id    bigint not null references file,
    at         timestamptz not null default clock_timestamp(),
    kind       text not null check (kind in ('move', 'seen_again', 'relocated', 'note')),
    from_state file_state,
    to_state   file_state,
    reason     text,
    run_id     text,
    attempt    text,
    check ((kind = 'move') = (to_state is not null))
);
create index file_event_file on file_event (file_id, event_id);
comment on table file_event is 'Everything that happened to a file, in order. Moves are written by a trigger, so none is without its row.';
comment on column file_event.run_id is 'The Airflow run or the command that did it.';
comment on column file_event.attempt is 'The gate''s or batch''s attempt that did it.';

create function file_guard() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        raise exception 'the ledger never forgets: file % stays', old.file_id;
    end if;
    if tg_op = 'UPDATE' then
        if (new.feed, new.seq, new.bucket, new.key, new.version, new.etag)
            is distinct from (old.feed, old.seq, old.bucket, old.key, old.version, old.etag) then
            raise exception 'file %: feed, seq, key, version and etag are given once', old.file_id;
        end if;
        if new.state = old.state then
            return new;
        end if;
    end if;
    if not exists (
        select from file_move m
        where m.to_state = new.state
          and m.from_state is not distinct from case when tg_op = 'UPDATE' then old.state end
    ) then
        raise exception 'file %: no move from % to %', new.file_id, case when tg_op = 'UPDATE' then old.state end, new.state
            using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger file_guard before insert or update or delete on file for each row execute function file_guard();

create function file_record_move() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and new.state = old.state then
        return null;
    end if;
    insert into file_event (file_id, kind, from_state, to_state, reason, run_id, attempt)
    values (new.file_id, 'move', case when tg_op = 'UPDATE' then old.state end, new.state, new.reason,
            current_setting('sluice.run', true), current_setting('sluice.attempt', true));
    return null;
end $$;
create trigger file_record_move after insert or update of state on file for each row execute function file_record_move();

create function file_dense() returns trigger language plpgsql as $$
declare hole bigint;
begin
    select i.seq into hole from inserted i
    where i.seq > 1 and not exists (select from file f where f.feed = i.feed and f.seq = i.seq - 1)
    limit 1;
    if hole is not null then
        raise exception 'seq % has no seq before it: seqs are dense', hole using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger file_dense after insert on file referencing new table as inserted for each statement execute function file_dense();

-- Batches -------------------------------------------------------------------------------------------------------------

create table batch (
    group_name        text not null references feed_group,
    batch             bigint not null check (batch > 0),
    feed              text not null references feed,
    state             batch_state not null default 'open',
    first_seq         bigint not null,
    last_seq          bigint not null check (last_seq >= first_seq),
    files             integer not null check (files > 0),
    rows              bigint not null check (rows >= 0),
    parameters        jsonb not null,
    reference_version integer,
    started_at        timestamptz not null,
    attempt           integer not null default 0,
    state_version     bigint,
    manifest          jsonb,
    published_at      timestamptz,
    delivered_at      timestamptz,
    reason            text,
    code_version      text not null,
    primary key (group_name, batch),
    check ((state = 'published') = (published_at is not null)),
    check (state = 'published' or delivered_at is null)
);
create unique index batch_one_open on batch (group_name) where state = 'open';
create index batch_outbox on batch (group_name, batch) where state = 'published' and delivered_at is null;
comment on table batch is 'Accepted files that are processed together. What is decided for it is fixed here when it is created.';
comment on column batch.parameters is 'The thresholds that bind this batch.';
comment on column batch.reference_version is 'The reference in force for its seqs; null = none was loaded.';
comment on column batch.started_at is 'The start of the run that opened it.';
comment on column batch.attempt is 'The newest attempt; each writes under a name of its own.';
comment on column batch.state_version is 'The group''s state version that its publication made.';
comment on column batch.manifest is 'What the job of the published attempt wrote.';
comment on column batch.delivered_at is 'When everything that follows publication was done; null = still in the outbox.';
comment on column batch.reason is 'Why it was abandoned.';

alter table file add foreign key (group_name, batch) references batch (group_name, batch);

create table batch_attempt (
    group_name text not null,
    batch      bigint not null,
    attempt    integer not null,
    run_id     text not null,
    token      bigint not null,
    state_version_read bigint not null,
    started_at timestamptz not null default clock_timestamp(),
    ended_at   timestamptz,
    outcome    text check (outcome in ('published', 'failed', 'abandoned')),
    error      text,
    primary key (group_name, batch, attempt),
    foreign key (group_name, batch) references batch
);
comment on column batch_attempt.state_version_read is 'The state it worked from; publish refuses if the state has moved on.';
comment on table batch_attempt is 'Each try at a batch: who, when, how it ended. outcome null = running, or killed.';

create table state_object (
    feed       text not null references feed,
    level      integer not null check (level >= 0),
    first_seq  bigint not null,
    last_seq   bigint not null check (last_seq >= first_seq),
    bucket     text not null,
    key        text not null unique,
    size       bigint not null,
    etag       text not null,
    rows       bigint not null,
    covered    boolean not null default false,
    created_at timestamptz not null default clock_timestamp(),
    primary key (feed, level, first_seq)
);
create index state_object_cover on state_object (feed, first_seq) where not covered;
comment on table state_object is 'Pointers to the exact objects that hold state: level 0 the partial aggregates of a batch, above them merged ones.';
comment on column state_object.level is '0 = one row a file, merchant and customer; n = 8 neighbours of level n-1 merged.';
comment on column state_object.covered is 'Whether an object of the next level holds its rows too; those not covered together hold the state as published.';
comment on column state_object.first_seq is 'The first seq whose rows it holds; levels above 0 cover neighbours without a gap.';

create table failure (
    failure_id bigint generated always as identity primary key,
    at         timestamptz not null default clock_timestamp(),
    feed       text,
    run_id     text not null,
    step       text not null,
    what       text not null
);
comment on table failure is 'Runs that failed, in one sentence each; `sluice status` shows the newest.';

-- The transactions feed ------------------------------------------------------------------------------------------------

create table detection_file (
    first_number bigint primary key check (first_number > 0),
    last_number  bigint not null unique,
    bucket       text not null,
    key          text not null unique,
    group_name   text not null,
    batch        bigint not null,
    written_at   timestamptz,
    check (last_number between first_number and first_number + 49),
    foreign key (group_name, batch) references batch
);
comment on table detection_file is 'Output files of at most 50 detections, fixed at publication, rendered by deliver.';
comment on column detection_file.written_at is 'When it was found written with the right bytes; null = not yet.';

create table detection (
    number        bigint primary key check (number > 0),
    seq           bigint not null,
    pattern_id    text not null check (pattern_id in ('PatId1', 'PatId2', 'PatId3')),
    action_type   text not null,
    customer_name text,
    merchant_id   text not null,
    detected_at   timestamptz not null,
    y_start_at    timestamptz not null,
    group_name    text not null,
    batch         bigint not null,
    foreign key (group_name, batch) references batch
);
create unique index detection_once on detection (pattern_id, merchant_id, coalesce(customer_name, ''));
create index detection_seq on detection (seq);
comment on table detection is 'What was detected, each (pattern, customer, merchant) once, numbered without gaps in (seq, pattern, merchant, customer) order.';
comment on column detection.seq is 'The first file after which the pattern holds.';
comment on column detection.detected_at is 'The instant of detection, one an attempt.';
comment on column detection.y_start_at is 'The start of the run that detected.';

create function detection_dense() returns trigger language plpgsql as $$
begin
    if exists (
        select from inserted i
        where i.number > 1 and not exists (select from detection d where d.number = i.number - 1)
    ) then
        raise exception 'detections are numbered without gaps' using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger detection_dense after insert on detection referencing new table as inserted for each statement execute function detection_dense();

create function detection_kept() returns trigger language plpgsql as $$
begin
    raise exception 'detection % was published and stays as it is', old.number;
end $$;
create trigger detection_kept before update or delete on detection for each row execute function detection_kept();

create table merchant_transaction_counts (
    merchant_id        text primary key,
    total_transactions bigint not null check (total_transactions > 0)
);
comment on table merchant_transaction_counts is 'Accepted and published transactions of each merchant.';

-- For people who know the classic staging table -----------------------------------------------------------------------

create view staging_table as
select file_id as id,
       regexp_replace(key, '^.*/', '') as file_name,
       's3://' || bucket || '/' || coalesce(location_key, key) as file_location,
       registered_at as created_date,
       greatest(registered_at, judged_at, published_at, delivered_at) as updated_date,
       case when state in ('registered', 'accepted', 'replaying') then 'A' else 'I' end as status
from file;
comment on view staging_table is 'The classic staging table: A = started and not finished, I = finished.';
