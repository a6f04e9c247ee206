"""Synthetic sales and their dimensions, the same bytes for the same arguments, and what must come of them.

It shares no code with what ingests sales: `expected.json` is what an honest bookkeeper would have written while the sales were made.
"""
