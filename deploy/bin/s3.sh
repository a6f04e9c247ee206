#!/bin/sh
# S3Proxy on the volume. Its keys are files; the properties that hold them lie in memory alone.
set -eu

umask 077
mkdir -p /var/lib/s3/objects
# Uploads that were killed half-way stay as <key>-<uuid> without the mark of a finished object; no feed reads such names.
{
    echo s3proxy.endpoint=http://0.0.0.0:9000
    echo s3proxy.authorization=aws-v2-or-v4
    printf 's3proxy.identity=%s\n' "$(cat /run/secrets/s3_access_key)"
    printf 's3proxy.credential=%s\n' "$(cat /run/secrets/s3_secret_key)"
    echo jclouds.provider=filesystem-nio2
    echo jclouds.filesystem.basedir=/var/lib/s3/objects
} >/tmp/s3proxy.properties
exec /opt/java/bin/java "-Xmx${S3_HEAP:-256m}" -XX:+ExitOnOutOfMemoryError -jar /opt/s3proxy/s3proxy.jar --properties /tmp/s3proxy.properties
