"""Reconcile: bucket against ledger. What it finds are values; what it can make good it makes good at once."""
