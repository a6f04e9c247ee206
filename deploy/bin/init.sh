#!/bin/sh
# What must be there before anything else starts: roles, databases, the migrated ledger, the bucket, Airflow's database and its users.
# Every step may run again, and does at each `up`.
set -eu

as_owner() { PGUSER=sluice_owner PGPASSWORD_FILE="$SLUICE_SECRETS/ledger_owner_password" "$@"; }
as_superuser() { PGUSER=postgres PGDATABASE=postgres PGPASSWORD_FILE="$SLUICE_SECRETS/postgres_password" "$@"; }

echo "init: roles and databases"
as_superuser sluice roles create --secrets "$SLUICE_SECRETS" --airflow
echo "init: the ledger"
as_owner sluice migrate
as_owner sluice roles grant
echo "init: the bucket"
sluice bucket
echo "init: Airflow's database"
airflow db migrate
echo "init: Airflow's users"
python /opt/airflow/airflow_users.py "$SLUICE_SECRETS"
echo "init: done"
