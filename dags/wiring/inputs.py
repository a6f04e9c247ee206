"""What a run may be told to read: whoever triggers it is not who owns the worker's files and networks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from include.errors import UsageError
from include.files import keys
from include.files.file import Source
from include.inputs import URL_WITH_SECRET, InputPolicy, holds, policy_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from include.feed import FeedSpec

# In the schema of a param: Airflow refuses such a text before it keeps it with the run, where everyone reads it who may look at runs.
NO_SECRET: dict[str, Any] = {"not": {"pattern": URL_WITH_SECRET}}


def input_policy(spec: FeedSpec, places: Iterable[Source], bucket: str) -> InputPolicy:
    """The bounds of a run on a feed: where its files arrive and where people put corrected ones, and what the worker's variables add.

    They are variables of the worker, since who may trigger a run may well edit Airflow's connections and variables too.
    """
    return policy_for((*places, Source(bucket, keys.fixes(spec.name))), os.environ)


def refuse_prefix(prefix: str, places: Sequence[Source], bucket: str) -> None:
    """See that chunks land where files of the feed arrive.

    Raises:
        UsageError: they would land elsewhere in the bucket.
    """
    if not any(holds(place, bucket, keys.in_folder(prefix, "chunk")) for place in places):
        may = ", ".join(place.prefix for place in places if place.bucket == bucket) or "nowhere"
        raise UsageError(f"{prefix} is no place where files of the feed arrive in {bucket}: those are {may}, and folders below")
