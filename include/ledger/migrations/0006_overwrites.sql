-- Files that take the place of others under the same name.

alter table file
    add column supersedes bigint[] check (cardinality(supersedes) > 0),
    add column origin     bigint references file;
comment on column file.supersedes is 'The files whose effects are taken out when its own are put in: published until its batch is, superseded from then on.';
comment on column file.origin is 'Of a replacement: the landed file whose place it takes in the end. Its name is that file''s for the policies on overwriting.';
create index file_origin on file (origin) where origin is not null;
create index file_superseding on file using gin (supersedes) where supersedes is not null;

-- Replacements from before this release: up their parents to the file that landed.
with recursive up as (
    select file_id, parent as at from file where kind = 'replacement'
    union all
    select up.file_id, f.parent from up join file f on f.file_id = up.at where f.kind = 'replacement'
)
update file set origin = up.at from up join file landed on landed.file_id = up.at and landed.kind <> 'replacement' where file.file_id = up.file_id;

alter table file add constraint file_origin_of_its_kind check (origin is null or kind = 'replacement');
