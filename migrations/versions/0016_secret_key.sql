-- The fingerprint of the secret key that signs receipts and encrypts webhooks: one row, created at the first start.
create table secret_key (
    only_row boolean primary key default true check (only_row),
    fingerprint bytea not null
);
