"""The ledger in PostgreSQL, by subject. What people ask of it is in `queries`."""

from __future__ import annotations

from include.stores.ledger.backfills import Backfills
from include.stores.ledger.batches import Batches
from include.stores.ledger.books import Books
from include.stores.ledger.care import Care
from include.stores.ledger.failures import Failures
from include.stores.ledger.files import Files
from include.stores.ledger.fixes import Fixes
from include.stores.ledger.journal import Journal
from include.stores.ledger.leases import Leases
from include.stores.ledger.outbox import Outbox
from include.stores.ledger.queries import Queries
from include.stores.ledger.sources import Sources


class PostgresLedger(Leases, Sources, Files, Batches, Backfills, Failures, Fixes, Outbox, Journal, Books, Queries, Care):
    """The `Ledger` port on PostgreSQL. Takes a way to connect, connects when first needed, and once more for each kept lease."""
