#!/bin/sh
# versitygw's two processes: `store` on a volume, and `iam`, which knows users, keys and policies. They share the root user's keys, which are
# files, and a socket.
set -eu

ROOT_ACCESS_KEY=$(cat /run/secrets/s3_access_key)
ROOT_SECRET_KEY=$(cat /run/secrets/s3_secret_key)
export ROOT_ACCESS_KEY ROOT_SECRET_KEY
umask 077
case "$1" in
    store)
        mkdir -p /var/lib/s3/objects
        exec versitygw --port :7070 --health /healthz --keep-alive --quiet --iam-standalone-endpoint /run/iam/socket posix /var/lib/s3/objects
        ;;
    iam)
        exec versitygw --port :7076 --health /healthz iam --quiet --dir /var/lib/iam --private-ports /run/iam/socket
        ;;
    *)
        echo "versitygw: store or iam?" >&2
        exit 2
        ;;
esac
