-- Work: what is still to be done, one row an item. What runs on a schedule asks this and not the whole record.

create table work (
    feed       text not null,
    group_name text not null,
    step       text not null check (step in ('validate', 'decide', 'publish', 'deliver', 'replay')),
    file_id    bigint unique references file,
    seq        bigint,
    batch      bigint,
    retry_at   timestamptz,
    foreign key (group_name, batch) references batch,
    unique (group_name, batch),
    check ((file_id is null) = (seq is null) and (file_id is null) = (batch is not null))
);
create index work_waiting on work (feed, seq);
create index work_of_group on work (group_name, step);
comment on table work is 'What is still to be done for a file or a batch, one row an item, written by the tables'' own triggers; done means gone. `file` and `batch` are the record.';
comment on column work.step is 'The step that comes next: validate, decide, publish, deliver; replay = it waits for the decision on the file that stands in for it.';
comment on column work.file_id is 'The file that it is about, or null.';
comment on column work.seq is 'The file''s place in the order of its feed.';
comment on column work.batch is 'The batch that it is about, or null: open = publish, published = deliver.';
comment on column work.retry_at is 'Not tried again before this, nor anything of the feed behind it; null = at once.';

create function next_step(state file_state, validated_at timestamptz, delivered_at timestamptz) returns text language sql immutable as $$
    select case when state = 'registered' then case when validated_at is null then 'validate' else 'decide' end
                when state = 'accepted' then 'publish'
                when state = 'replaying' then 'replay'
                when delivered_at is null then 'deliver' end
$$;
create function next_step(state batch_state, delivered_at timestamptz) returns text language sql immutable as $$
    select case when state = 'open' then 'publish' when state = 'published' and delivered_at is null then 'deliver' end
$$;

-- They run as the owner, so that whoever may change a file or a batch needs no right to its work.
create function file_work() returns trigger language plpgsql security definer set search_path from current as $$
declare todo text := next_step(new.state, new.validated_at, new.delivered_at);
begin
    if todo is null then
        delete from work where file_id = new.file_id;
    else
        insert into work (feed, group_name, step, file_id, seq)
        select f.feed, f.group_name, todo, new.file_id, new.seq from feed f where f.feed = new.feed
        on conflict (file_id) do update set step = todo, retry_at = null where work.step <> todo;
    end if;
    return null;
end $$;
create function batch_work() returns trigger language plpgsql security definer set search_path from current as $$
declare todo text := next_step(new.state, new.delivered_at);
begin
    if todo is null then
        delete from work where group_name = new.group_name and batch = new.batch;
    else
        insert into work (feed, group_name, step, batch) values (new.feed, new.group_name, todo, new.batch)
        on conflict (group_name, batch) do update set step = todo;
    end if;
    return null;
end $$;

insert into work (feed, group_name, step, file_id, seq, retry_at)
select f.feed, feed.group_name, next_step(state, validated_at, delivered_at), file_id, seq, retry_at from file f join feed using (feed)
where next_step(state, validated_at, delivered_at) is not null;
insert into work (feed, group_name, step, batch)
select feed, group_name, next_step(state, delivered_at), batch from batch where next_step(state, delivered_at) is not null;

create trigger file_work after insert or update of state, validated_at, delivered_at on file for each row execute function file_work();
create trigger batch_work after insert or update of state, delivered_at on batch for each row execute function batch_work();

alter table file drop column retry_at;
drop index file_waiting;
drop index file_undelivered;
drop index batch_outbox;
