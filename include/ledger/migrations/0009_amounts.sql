-- Amounts of any size, in the smallest unit of the column that a feed adds up.

alter table reconciliation
    alter column amount_in type numeric(38, 0),
    alter column amount_out type numeric(38, 0),
    alter column amount_rejected type numeric(38, 0);
comment on column reconciliation.amount_in is 'The amount in the originals of accepted files, when their contents were last read: amount_out + amount_rejected. Counted in the smallest unit of the column that the feed adds up: cents; millionths of price (stocks) and holdings (mutual_funds).';
comment on column reconciliation.amount_out is 'The amount in bronze, in the same unit.';
comment on column reconciliation.amount_rejected is 'The amount in the rejected lines as far as it can be read, in the same unit.';
