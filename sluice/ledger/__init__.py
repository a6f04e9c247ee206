"""The ledger as a whole: back it up, restore it."""
