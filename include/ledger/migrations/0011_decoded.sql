-- What a file's bronze holds once it is read: batches are bounded by that, since encoded a text that repeats takes next to nothing.

alter table file
    add column decoded_bytes bigint check (decoded_bytes >= 0);
comment on column file.decoded_bytes is 'Bytes of the values of its accepted rows, each as often as it stands there; null in files that were judged before this was recorded: their size is taken.';
