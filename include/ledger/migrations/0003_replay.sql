-- Files that are put right: replacements of quarantined files, corrected rows, and files that fail again and again.

alter table file
    add column kind        text not null default 'landing' check (kind in ('landing', 'replacement', 'row_fix')),
    add column parent      bigint references file,
    add column asked_by    text,
    add column why         text,
    add column header      text[],
    add column fixes       bigint[],
    add column failures    integer not null default 0 check (failures >= 0),
    add column retry_at    timestamptz,
    add column batch_limit integer check (batch_limit > 0),
    add constraint file_parent_of_its_kind
        check ((kind <> 'landing' or parent is null) and (kind <> 'replacement' or (parent is not null and asked_by is not null)));
create index file_parent on file (parent) where parent is not null;
create unique index file_one_replacement on file (parent) where kind = 'replacement' and state = 'registered';
comment on column file.kind is 'landing = it arrived; replacement = put in the place of a quarantined file; row_fix = corrected rows of an accepted one.';
comment on column file.parent is 'The file that a replacement stands for, or whose rejected rows a row fix corrects. Its own counts never change.';
comment on column file.asked_by is 'Who had a replacement registered.';
comment on column file.why is 'Why, in the words of whoever asked for it.';
comment on column file.header is 'The names in its header, where rows were rejected: a corrected row is read by them, wherever the original bytes are by then.';
comment on column file.fixes is 'Of a row fix: the lines of its parent that it corrects.';
comment on column file.failures is 'How often it failed when it was processed alone and every service answered.';
comment on column file.retry_at is 'Not tried again before this, nor anything behind it; null = at once.';
comment on column file.batch_limit is 'A batch with it takes at most so many files, since a larger one failed.';

create table fixed_line (
    parent  bigint not null references file,
    line    bigint not null check (line > 0),
    file_id bigint not null references file,
    primary key (parent, line)
);
create index fixed_line_file on fixed_line (file_id);
comment on table fixed_line is 'Rejected lines of accepted files that came in corrected: each once, by one row fix.';
comment on column fixed_line.line is 'The line in the parent.';
comment on column fixed_line.file_id is 'The row fix that it came in with.';

alter table file_event
    add column actor text;
alter table file_event drop constraint file_event_kind_check;
alter table file_event add constraint file_event_kind_check
    check (kind in ('move', 'seen_again', 'relocated', 'note', 'replay', 'fix', 'failure'));
comment on column file_event.actor is 'The person who asked for it, where one did.';

-- A file that fails alone, again and again, while every service answers, is put aside so that those behind it go on.
insert into file_move values ('accepted', 'quarantined');

create or replace function file_record_move() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and new.state = old.state then
        return null;
    end if;
    insert into file_event (file_id, kind, from_state, to_state, reason, run_id, attempt, actor)
    values (new.file_id, 'move', case when tg_op = 'UPDATE' then old.state end, new.state, new.reason,
            current_setting('sluice.run', true), current_setting('sluice.attempt', true),
            nullif(current_setting('sluice.actor', true), ''));
    return null;
end $$;
