#!/bin/sh
# PostgreSQL on the volume; makes the cluster the first time. The superuser's password is a file, never an argument or a variable.
set -eu

data=/var/lib/postgres/data
if [ ! -f "$data/PG_VERSION" ]; then
    rm -rf "$data.new"
    initdb --pgdata="$data.new" --username=postgres --pwfile=/run/secrets/postgres_password \
        --auth-local=scram-sha-256 --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
    echo 'host all all all scram-sha-256' >>"$data.new/pg_hba.conf"
    mv "$data.new" "$data"
fi
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories= -c password_encryption=scram-sha-256 \
    -c max_connections="${POSTGRES_MAX_CONNECTIONS:-200}" -c shared_buffers="${POSTGRES_SHARED_BUFFERS:-128MB}" \
    -c timezone=UTC -c log_timezone=UTC -c log_line_prefix='%m [%p] %u@%d ' \
    -c log_min_messages=log -c log_min_error_statement=panic -c log_error_verbosity=terse -c log_parameter_max_length_on_error=0
