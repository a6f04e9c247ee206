#!/bin/sh
# Stops the services, if there were ever any.
set -eu

cd "$(dirname "$0")/.."
if [ -x .venv/bin/sluice ]; then exec .venv/bin/sluice down; fi
echo "down: nothing is set up here, so nothing runs"
