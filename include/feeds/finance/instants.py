"""From when to when what happens in finance can have happened (DESIGN 6)."""

from __future__ import annotations

import datetime as dt

FIRST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(2101, 1, 1, tzinfo=dt.UTC)
