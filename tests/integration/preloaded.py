"""What the command needs beyond a worker process of the certificate, imported once in the process that its processes are forked from."""

from __future__ import annotations

import importlib
import pkgutil

import sluice.cli

for name in (
    *(f"sluice.cli.{one.name}" for one in pkgutil.iter_modules(sluice.cli.__path__)),
    "include.pipeline.run",
    "include.backfill.backfill",
    "include.reconcile.reconcile",
    "include.replay.replay",
    "include.clients",
    "rich.table",
    "sluice.environments",
    "sluice.ledger.backup",
    "sluice.produce.producer",
    "sluice.reference.loader",
    "sluice.runtime",
    "sluice.services.catalogue",
):
    importlib.import_module(name)
