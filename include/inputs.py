"""What a run may be told to read: objects of which folders, files below which folder of this machine, URLs of which hosts.

Who runs the command runs it as himself and may name what he can read. A run in Airflow reads with the deployment's rights for whoever may
trigger it, so it is given a policy with bounds.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from include.errors import UsageError
from include.files import keys
from include.files.file import Source
from include.files.sources import source_named
from include.hosts import PUBLIC, AllowedHosts

FOLDER, PLACES, HOSTS = "SLUICE_INPUT_FOLDER", "SLUICE_INPUT_PLACES", "SLUICE_INPUT_HOSTS"
SEE = "docs/deploy.md, What a run in Airflow may read"
_S3 = "s3://"
_PARAMETERS = (
    "x-(amz|goog)-[^=&]*|sig|[^=&]*signature|[^=&]*token|[^=&]*secret[^=&]*|[^=&]*password|passwd|pwd|[^=&]*credential|([^=&]*[_-])?key|"
    "apikey|awsaccesskeyid|key-pair-id|policy|auth|authorization|code"
)
SECRET_PARAMETER = re.compile(_PARAMETERS, re.IGNORECASE)
# In the words of JSON Schema too, where a form refuses such a text before it is kept anywhere.
URL_WITH_SECRET = rf"(?i)https?://[^/?#]*@|://[^/?#]*:[^/?#]*@|[?&;]({_PARAMETERS})="


class InputRefused(UsageError):
    """A place that this run may not read from."""

    def __init__(self, location: str, why: str, remedy: str) -> None:
        self.location = location
        super().__init__(f"{location} {why}; nothing was read. {remedy} ({SEE})")


@dataclass(frozen=True)
class InputPolicy:
    """Where inputs may lie. None is no bound.

    Attributes:
        places: folders of the store.
        folders: folders of this machine, of which relative paths are meant too.
        hosts: of URLs.
    """

    places: tuple[Source, ...] | None = None
    folders: tuple[Path, ...] | None = None
    hosts: AllowedHosts | None = None

    def object_at(self, uri: str) -> tuple[str, str]:
        """The bucket and key of s3://bucket/key.

        Raises:
            InputRefused: the object lies elsewhere than it may.
        """
        bucket, _, key = uri.partition("://")[2].partition("/")
        if self.places is not None and not any(holds(place, bucket, key) for place in self.places):
            where = ", ".join(f"{_S3}{place.bucket}/{place.prefix}" for place in self.places) or "no place"
            raise InputRefused(uri, f"lies outside what this run may read of the store: {where}", f"Others are named in {PLACES}")
        return bucket, key

    def path_of(self, location: str) -> Path:
        """The path that is meant, before any link in it is followed."""
        if self.folders is None:
            try:
                return Path(location).expanduser().absolute()
            except RuntimeError:  # ~nobody
                return Path(location).absolute()
        return (self.folders[0] if self.folders else Path("/")) / location

    def open_file(self, location: str) -> BinaryIO:
        """A file of this machine, opened.

        Raises:
            InputRefused: it lies elsewhere than it may, links resolved.
            OSError: it is not there, may not be read, or is no file.
        """
        path = self.path_of(location)
        if "\0" in location:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), location)
        if self.folders is None:
            return _regular(os.open(path, os.O_RDONLY | os.O_NONBLOCK), location)
        real = Path(os.path.realpath(path))
        for folder in self.folders:
            top = Path(os.path.realpath(folder))
            if real != top and real.is_relative_to(top):
                return _regular(_opened_below(top, real.relative_to(top).parts), location)
        may = ", ".join(map(str, self.folders))
        why = f"lies outside the folder that this run may read ({may})" if may else "is a path, and this run may read no folder"
        raise InputRefused(location, why, f"{FOLDER} names one")


UNRESTRICTED = InputPolicy()


def policy_for(places: tuple[Source, ...], variables: Mapping[str, str]) -> InputPolicy:
    """The bounds of a run in Airflow: the places of its feed and what the deployment's variables add.

    Raises:
        UsageError: a variable says what it cannot mean.
    """
    folder, more = variables.get(FOLDER, ""), variables.get(PLACES, "").replace(",", " ").split()
    if folder and (not Path(folder).is_absolute() or Path(folder) == Path("/")):
        raise UsageError(f"{FOLDER}={folder} is no folder that can be meant: give an absolute path, and not all of the machine")
    return InputPolicy(
        places=(*places, *map(source_named, more)),
        folders=(Path(folder),) if folder else (),
        hosts=AllowedHosts.parse(variables.get(HOSTS) or PUBLIC),
    )


def has_secret(url: str) -> bool:
    """Whether a URL holds a password, a signature or a token.

    >>> has_secret("mysql://me:word@host/db"), has_secret("https://host/a.csv?X-Amz-Signature=ab"), has_secret("https://host/a.csv?day=1")
    (True, True, False)
    """
    return re.search(URL_WITH_SECRET, url) is not None


def holds(place: Source, bucket: str, key: str) -> bool:
    """Whether an object lies in a place, by a key that the store holds faithfully."""
    return place.bucket == bucket and keys.refused(key, place.prefix, ("",)) is None


def _opened_below(top: Path, parts: tuple[str, ...]) -> int:
    """Open a path without links, name by name: a link that is put in its way meanwhile is not followed."""
    at = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in parts[:-1]:
            above, at = at, os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(above)
        return os.open(parts[-1], os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)


def _regular(opened: int, location: str) -> BinaryIO:
    """A stream of what was opened, unless it is a folder, a pipe or a device."""
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise IsADirectoryError(errno.EISDIR, "is no file", location)
    return os.fdopen(opened, "rb")
