"""The groups of feeds that a certificate can be made of. Adding one: a folder with its stream and what to compare, a line below."""

from __future__ import annotations

from tools.certificate.domain import Domain
from tools.certificate.domains.finance.domain import FINANCE
from tools.certificate.domains.sales.domain import SALES
from tools.certificate.domains.transactions.domain import TRANSACTIONS

DOMAINS: dict[str, Domain] = {domain.name: domain for domain in (TRANSACTIONS, SALES, FINANCE)}
