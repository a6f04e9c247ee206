#!/bin/sh
# Deletes what the services keep: ledger, objects, logs, passwords. Asks first; without a terminal it needs YES=1.
set -eu

cd "$(dirname "$0")/.."
state=${SLUICE_STATE:-.sluice}

[ -d "$state" ] || { echo "clean: nothing to delete in $state"; exit 0; }
if [ -d "$state/postgres" ] && [ "${YES:-}" != 1 ]; then
    [ -t 0 ] || { echo "clean: $state holds a ledger and nobody is there to ask; YES=1 make clean deletes it" >&2; exit 1; }
    printf 'Delete the ledger, all objects and all logs in %s? [y/N] ' "$state"
    read -r answer
    case $answer in y | Y | yes) ;; *) echo "clean: nothing deleted"; exit 1 ;; esac
fi
for place in "$state"/test* "$state"; do
    if [ -f "$place/ports.json" ]; then SLUICE_STATE=$place scripts/down.sh; fi
done
rm -rf "$state"
echo "clean: $state is gone; the installed packages and jars are kept (.venv, .tools)"
