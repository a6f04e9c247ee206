-- Past dates: which were asked for, and the certificates of their comparison with what was published.

create table asked_date (
    feed     text not null references feed,
    date     date not null,
    run_id   text not null,
    asked_at timestamptz not null default clock_timestamp(),
    done_at  timestamptz,
    primary key (feed, date, run_id)
);
create index asked_date_open on asked_date (feed, date) where done_at is null;
comment on table asked_date is 'Dates that a run is to ingest. Runs for several dates that work at once register what is missing of all of them in date order.';
comment on column asked_date.date is 'The date: of the dt= in a key, else of the last modification.';
comment on column asked_date.run_id is 'The Airflow run or the command that asks.';
comment on column asked_date.done_at is 'When nothing of the date waited any more; null = still to be ingested.';

create table backfill_certificate (
    feed             text not null references feed,
    date             date not null,
    run_id           text not null,
    made_at          timestamptz not null,
    verdict          text not null check (verdict in ('equal', 'changed', 'different', 'left alone')),
    given            jsonb not null,
    files            integer not null check (files >= 0),
    equal            integer not null check (equal >= 0),
    changed          integer not null check (changed >= 0),
    different        integer not null check (different >= 0),
    left_alone       integer not null check (left_alone >= 0),
    findings_added   integer not null check (findings_added >= 0),
    findings_removed integer not null check (findings_removed >= 0),
    first_difference text,
    code_version     text not null,
    contract_digest  text not null,
    suite_digest     text,
    bucket           text not null,
    key              text not null,
    primary key (feed, date, run_id),
    check (files = equal + changed + different + left_alone),
    check ((verdict = 'different') = (first_difference is not null))
);
comment on table backfill_certificate is 'A date evaluated once more in shadow and compared with what was published; one row a feed, date and run. Nothing is published by it.';
comment on column backfill_certificate.date is 'The date whose files were compared, with the files that share a batch with them.';
comment on column backfill_certificate.run_id is 'The Airflow run or the command that compared.';
comment on column backfill_certificate.verdict is 'The worst of its files'': different = not as it was published; changed = other findings by thresholds given on purpose.';
comment on column backfill_certificate.given is 'Thresholds that were given in place of the recorded ones; empty = the recorded ones.';
comment on column backfill_certificate.files is 'Files it is about = equal + changed + different + left_alone.';
comment on column backfill_certificate.equal is 'Files whose accepted rows, contribution to state and findings are as recorded.';
comment on column backfill_certificate.changed is 'Files that would find something else by the thresholds given.';
comment on column backfill_certificate.different is 'Files that are not as they were published.';
comment on column backfill_certificate.left_alone is 'Files nothing is compared for: duplicates, discarded ones, those not yet published.';
comment on column backfill_certificate.findings_added is 'Findings that would be made at these files and are not recorded there.';
comment on column backfill_certificate.findings_removed is 'Findings that are recorded at these files and would not be made there.';
comment on column backfill_certificate.first_difference is 'Where the first difference lies, without values; the object under `key` has them.';
comment on column backfill_certificate.code_version is 'The version of Sluice that compared.';
comment on column backfill_certificate.contract_digest is 'The contract that judged the bytes again.';
comment on column backfill_certificate.suite_digest is 'The Great Expectations suite that judged the bytes again; null = no bytes were judged.';
comment on column backfill_certificate.key is 'Where the whole certificate lies, without its ending: .json for programs, .md for people.';

create table backfill_certificate_file (
    feed              text not null,
    date              date not null,
    run_id            text not null,
    file_id           bigint not null references file,
    seq               bigint not null,
    verdict           text not null check (verdict in ('equal', 'changed', 'different', 'left alone')),
    bronze_recorded   text,
    bronze_now        text,
    state_recorded    text,
    state_now         text,
    findings_recorded text,
    findings_now      text,
    recorded_by       jsonb not null,
    compared_by       jsonb not null,
    changes           jsonb not null,
    first_difference  text,
    note              text not null,
    primary key (feed, date, run_id, file_id),
    foreign key (feed, date, run_id) references backfill_certificate on delete cascade
);
comment on table backfill_certificate_file is 'What a backfill certificate says of each file.';
comment on column backfill_certificate_file.verdict is 'equal, changed (by thresholds given), different, or left alone.';
comment on column backfill_certificate_file.bronze_recorded is 'The digest over its accepted rows, as its gate recorded it.';
comment on column backfill_certificate_file.bronze_now is 'The same over the rows that its bytes give now.';
comment on column backfill_certificate_file.state_recorded is 'A digest over its rows in the published state object.';
comment on column backfill_certificate_file.state_now is 'The same over those of the shadow run.';
comment on column backfill_certificate_file.findings_recorded is 'A digest over the findings recorded at it.';
comment on column backfill_certificate_file.findings_now is 'The same over those of the shadow run, each once over all batches compared.';
comment on column backfill_certificate_file.recorded_by is 'Code, contract, suite, job code, parameters and reference version of the first time.';
comment on column backfill_certificate_file.compared_by is 'Code, contract, suite, parameters and reference version of the comparison.';
comment on column backfill_certificate_file.changes is 'Findings it would gain or lose: key, seq recorded, seq now.';
comment on column backfill_certificate_file.first_difference is 'The first row that differs, without values.';
comment on column backfill_certificate_file.note is 'Why it is left alone, or what could not be compared.';
