"""Etags as checksums: where a store names an object by the MD5 of its bytes, damage behind its back shows."""

from __future__ import annotations

import hashlib
import re

from include.errors import ObjectGone
from include.files import keys
from include.pipeline.ports import Ports

_PIECE = 1 << 20
_MD5 = re.compile(r"[0-9a-f]{32}")
_PROBE = b"is the etag the MD5?"


def named_by_md5(ports: Ports, feed: str) -> bool:
    """Ask the store by putting a small object: with some kinds of encryption an etag looks like an MD5 and is none."""
    written = ports.store.put(ports.bucket, keys.probe(feed, ports.new_id()), _PROBE)
    ports.store.delete(ports.bucket, written.key)
    return written.etag == hashlib.md5(_PROBE, usedforsecurity=False).hexdigest()


def as_named(ports: Ports, bucket: str, key: str, etag: str) -> bool:
    """Whether an object has the bytes that its etag names. The etag of an upload in parts names none, so it holds."""
    if not _MD5.fullmatch(etag):
        return True
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with ports.store.read(bucket, key) as stream:
            while piece := stream.read(_PIECE):
                digest.update(piece)
    except ObjectGone:
        return False
    return digest.hexdigest() == etag
