"""The ledger in PostgreSQL, composed of small parts, one a subject."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from include.ledger.admin import Admin
from include.ledger.batches import Batches
from include.ledger.failures import Failures
from include.ledger.files import Files
from include.ledger.journal import Journal
from include.ledger.leases import Leases
from include.ledger.outbox import Outbox
from include.ledger.queries import Queries
from include.ledger.replays import Replays
from include.ledger.session import LedgerSession
from include.ledger.sources import Sources

Connect = Callable[[], psycopg.Connection]


class Ledger:
    """All parts on one session, which connects when it is first needed. Every write under a lease checks its token."""

    def __init__(self, connect: Connect, session: Callable[[Connect], LedgerSession] = LedgerSession) -> None:
        self.session = session(connect)
        self.leases = Leases(self.session)
        self.sources = Sources(self.session)
        self.files = Files(self.session)
        self.batches = Batches(self.session)
        self.failures = Failures(self.session)
        self.replays = Replays(self.session)
        self.outbox = Outbox(self.session)
        self.journal = Journal(self.session)
        self.queries = Queries(self.session)
        self.admin = Admin(self.session)
        self.rows, self.row, self.transaction = self.session.rows, self.session.row, self.session.transaction
        self.close = self.session.close
