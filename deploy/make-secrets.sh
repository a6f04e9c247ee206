#!/bin/sh
# Makes the secrets of a deployment, one a file, in deploy/secrets/ (or the folder named first). A file that is there stays as it is; those
# that are put together from others are made anew, so that run this again after a password or an address was changed.
#
# The folder is closed to other users of this machine. The files in it can be read by anyone who gets into it, which are the containers
# that a file is mounted into: their user is another one than yours.
set -eu

cd "$(dirname "$0")/.."
if [ -f .env ]; then
    set -a
    # shellcheck source=/dev/null
    . ./.env
    set +a
fi
folder=${1:-${SLUICE_SECRETS:-deploy/secrets}}
umask 022
mkdir -p "$folder"
chmod 700 "$folder"

write() {
    printf '%s' "$2" >"$folder/.$1.new"
    chmod 444 "$folder/.$1.new"
    mv -f "$folder/.$1.new" "$folder/$1"
}
random() { head -c 32 /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'; }
once() { [ -s "$folder/$1" ] || write "$1" "$(random | tr -d '=')"; }
read_secret() { cat "$folder/$1"; }

for name in postgres_password ledger_owner_password ledger_ingest_password ledger_reader_password ledger_ui_password \
    airflow_database_password airflow_secret_key airflow_jwt_secret \
    airflow_admin_password airflow_op_password airflow_viewer_password \
    s3_access_key s3_secret_key spark_token spark_secret redis_password; do
    once "$name"
done
[ -s "$folder/airflow_fernet_key" ] || write airflow_fernet_key "$(random)"

write airflow_database_url \
    "postgresql+psycopg2://airflow:$(read_secret airflow_database_password)@${PGHOST:-postgres}:${PGPORT:-5432}/airflow"
write airflow_result_backend "db+$(read_secret airflow_database_url | sed 's/+psycopg2//')"
write airflow_broker_url "redis://:$(read_secret redis_password)@redis:6379/0"
# How jobs reach Spark: through Connect, unless spark_connection.json says otherwise (docs/scale.md).
if [ -s "$folder/spark_connection.json" ]; then
    spark=$(read_secret spark_connection.json)
else
    spark="{
    \"conn_type\": \"spark_connect\", \"host\": \"sc://spark-connect\", \"port\": 15002, \"password\": \"$(read_secret spark_token)\",
    \"extra\": {\"use_ssl\": false}
  }"
fi
write airflow_connections.json "$(
    cat <<JSON
{
  "sluice_s3": {
    "conn_type": "aws", "login": "$(read_secret "${S3_INGEST_USER:-s3}_access_key")", "password": "$(read_secret "${S3_INGEST_USER:-s3}_secret_key")",
    "extra": {
      "endpoint_url": "${AWS_ENDPOINT_URL_S3:-http://s3:9000}", "region_name": "${AWS_DEFAULT_REGION:-us-east-1}",
      "service_config": {"s3": {"bucket_name": "${SLUICE_BUCKET:-sluice}"}}
    }
  },
  "sluice_ledger": {
    "conn_type": "postgres", "host": "${PGHOST:-postgres}", "port": ${PGPORT:-5432}, "schema": "sluice",
    "login": "sluice_ingest", "password": "$(read_secret ledger_ingest_password)"
  },
  "sluice_spark": $spark
}
JSON
)"
echo "secrets: $(find "$folder" -type f | wc -l) files in $folder"
