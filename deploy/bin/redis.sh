#!/bin/sh
# Redis as Celery's queue: in memory alone, since what is queued stands in Airflow's database too. Its password is a file.
set -eu

umask 077
{
    echo 'bind 0.0.0.0'
    echo 'port 6379'
    echo 'dir /tmp'
    echo 'save ""'
    echo 'maxmemory-policy noeviction'
    printf 'requirepass %s\n' "$(cat /run/secrets/redis_password)"
} >/tmp/redis.conf
exec redis-server /tmp/redis.conf
