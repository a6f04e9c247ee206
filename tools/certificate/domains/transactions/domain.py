"""Transactions: one feed, with state and numbered detections."""

from __future__ import annotations

from tools.certificate.domain import Domain
from tools.certificate.domains.transactions import compared
from tools.certificate.domains.transactions.stream import FEED, as_scheduled, transactions
from tools.certificate.places import IN_LAKE

TRANSACTIONS = Domain(
    name=FEED,
    feeds=(FEED,),
    archived=frozenset({FEED}),
    dags=(f"{FEED}_ingest",),
    stream=transactions,
    scheduled=as_scheduled,
    sections={
        "state row": compared.state,
        "merged state": compared.merged,
        "detection": compared.detections,
        "row of a detection file": compared.detection_files,
        "merchant_transaction_counts": compared.counters,
    },
    pointers="select key from state_object union select key from detection_file union select key from reference",
    never=IN_LAKE,
)
