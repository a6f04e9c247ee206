-- Reconciliation: how bucket and ledger agreed when they were last compared.

create table reconciliation (
    feed            text not null references feed,
    date            date not null,
    checked_at      timestamptz not null,
    run_id          text not null,
    code_version    text not null,
    objects         bigint not null check (objects >= 0),
    files           bigint not null check (files >= 0),
    accepted        bigint not null,
    quarantined     bigint not null,
    duplicate       bigint not null,
    waiting         bigint not null,
    lines           bigint not null,
    lines_accepted  bigint not null,
    rejected        bigint not null,
    amount_in       bigint,
    amount_out      bigint,
    amount_rejected bigint,
    read_at         timestamptz,
    findings        bigint not null check (findings >= 0),
    ok              boolean not null,
    primary key (feed, date),
    check (files = accepted + quarantined + duplicate + waiting),
    check ((amount_in is null) = (amount_out is null) and (amount_in is null) = (amount_rejected is null)),
    check (amount_in is null or read_at is not null),
    check (not ok or lines = lines_accepted + rejected)
);
comment on table reconciliation is 'Bucket against ledger, one row a feed and date, as the newest check found it.';
comment on column reconciliation.checked_at is 'When the check ended.';
comment on column reconciliation.objects is 'Objects that hold the original bytes of its files: in landing, error or archive.';
comment on column reconciliation.files is 'Files that landed, every version of a key. files = accepted + quarantined + duplicate + waiting.';
comment on column reconciliation.accepted is 'Of them those that were accepted: published, superseded or about to be published.';
comment on column reconciliation.quarantined is 'Of them those that were refused, discarded ones included.';
comment on column reconciliation.waiting is 'Of them those that are not decided.';
comment on column reconciliation.lines is 'Records read, of all files whose records were counted. lines = lines_accepted + rejected.';
comment on column reconciliation.rejected is 'Records rejected.';
comment on column reconciliation.amount_in is 'Cents in the originals of accepted files, when their contents were last read: amount_out + amount_rejected.';
comment on column reconciliation.amount_out is 'Cents in bronze.';
comment on column reconciliation.amount_rejected is 'Cents in the rejected lines, as far as their amounts can be read.';
comment on column reconciliation.read_at is 'When contents were last read and amounts added up; null = only listings and counts were compared so far.';
comment on column reconciliation.findings is 'What was found about this date, made good or not.';
comment on column reconciliation.ok is 'Whether nothing is left that differs.';

create index file_date on file (feed, date);

create table reconciliation_finding (
    finding_id bigint generated always as identity primary key,
    feed       text not null references feed,
    date       date,
    file_id    bigint references file,
    at         timestamptz not null,
    run_id     text not null,
    code       text not null,
    severity   text not null check (severity in ('note', 'difference')),
    place      text not null,
    what       text not null,
    next_step  text not null,
    repaired   boolean not null
);
create index reconciliation_finding_run on reconciliation_finding (feed, at);
comment on table reconciliation_finding is 'What reconciliations found; docs/runbooks/ledger-and-bucket.md says what each code means.';
comment on column reconciliation_finding.date is 'The date of the file it is about; null = about the feed.';
comment on column reconciliation_finding.severity is 'note = a normal thing; difference = should not be there.';
comment on column reconciliation_finding.place is 'The object or the rows that are meant.';
comment on column reconciliation_finding.next_step is 'What a person has to do; empty where nothing is left to do.';
comment on column reconciliation_finding.repaired is 'Whether the run that found it made it good.';
