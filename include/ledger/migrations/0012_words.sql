-- The words of the field, as the program has them now: names only, no row changes.

alter table file rename column judged_at to validated_at;
alter table file rename column touched to touched_values;
alter table file rename column asked_by to requested_by;
alter table asked_date rename to requested_date;
alter table requested_date rename column asked_at to requested_at;
alter index asked_date_open rename to requested_date_open;
alter table backfill_certificate rename column given to overrides;
alter trigger detection_kept on detection rename to detection_immutable;
alter function detection_kept() rename to detection_immutable;

comment on column file.reason_code is 'Why it was refused, as a word of include/files/verdict.py.';
