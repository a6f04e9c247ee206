"""Google Drive files: by public link or id, or through a service account."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import requests

from include.errors import EnvironmentFailure, UsageError
from include.hosts import AllowedHosts
from sluice.produce.errors import SourceMissing, SourceNotPublic
from sluice.produce.guarded import guard, session_for
from sluice.produce.origins import HttpFile

_ID = r"[A-Za-z0-9_-]{25,}"
_IN_PATH = re.compile(rf"/d/({_ID})(?:/|$)")
_HOSTS = frozenset({"drive.google.com", "docs.google.com", "drive.usercontent.google.com"})
# What Drive, its API, its sign-in and what those lead to are called.
GOOGLE_HOSTS = ("*.google.com", "*.googleapis.com", "*.googleusercontent.com")
_SCOPE = "https://www.googleapis.com/auth/drive.readonly"
_LOGIN_HOST = "accounts.google.com"


@dataclass(frozen=True)
class Endpoints:
    """Where Drive answers: as values, so that a test can speak for it on loopback."""

    public: str = "https://drive.usercontent.google.com/download"
    api: str = "https://www.googleapis.com/drive/v3/files"


def drive_id(location: str) -> str | None:
    """The id of the Drive file that a link, `drive:ID` or a bare id names, or None.

    >>> drive_id("https://drive.google.com/file/d/1A2b3C4d5E6f7G8h9I0jK1L2m3N4o5P6q/view?usp=sharing")
    '1A2b3C4d5E6f7G8h9I0jK1L2m3N4o5P6q'
    >>> drive_id("https://drive.google.com/uc?export=download&id=1A2b3C4d5E6f7G8h9I0jK1L2m3N4o5P6q")
    '1A2b3C4d5E6f7G8h9I0jK1L2m3N4o5P6q'
    >>> drive_id("drive:1A2b3C4d5E6f7G8h9I0jK1L2m3N4o5P6q")
    '1A2b3C4d5E6f7G8h9I0jK1L2m3N4o5P6q'
    >>> drive_id("transactions.csv")
    """
    bare = location.removeprefix("drive:")
    if re.fullmatch(_ID, bare):
        return bare
    parts = urlsplit(location)
    if parts.hostname not in _HOSTS:
        return None
    found = _IN_PATH.search(parts.path)
    named = found.group(1) if found else parse_qs(parts.query).get("id", [""])[0]
    return named if re.fullmatch(_ID, named) else None


def public_file(file_id: str, session: requests.Session, endpoints: Endpoints = Endpoints()) -> HttpFile:
    """A file that anyone with the link may read. `confirm` passes over Drive's page about virus scans of large files."""
    location = f"drive:{file_id}"
    query = {"id": file_id, "export": "download", "confirm": "t"}

    def check(answer: requests.Response) -> None:
        _refuse_page(location, answer)

    return HttpFile(f"{endpoints.public}?{urlencode(query)}", session, location=location, check=check)


def private_file(
    file_id: str, credentials: Mapping[str, Any], endpoints: Endpoints = Endpoints(), *, hosts: AllowedHosts | None = None
) -> HttpFile:
    """A file that a service account may read.

    Args:
        credentials: the service account's key, as Google hands it out (a parsed JSON file).
        hosts: what may be asked, also where the key says that one signs in; None = whatever it is.
    """
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession, Request
    from google.oauth2.service_account import Credentials

    location = f"drive:{file_id}"
    try:
        account = Credentials.from_service_account_info(dict(credentials), scopes=[_SCOPE])
    except (ValueError, GoogleAuthError) as error:
        raise UsageError(f"the Google credentials are no service account's key: {error}") from error
    who = credentials.get("client_email", "the service account")

    def check(answer: requests.Response) -> None:
        if answer.status_code in (401, 403, 404):
            answer.close()
            what = f"Drive shows no such file to {who} (answer {answer.status_code})"
            raise SourceMissing(location, f"{what}; share the file with that address")

    session = AuthorizedSession(account, auth_request=Request(session_for(hosts)))
    guard(session, hosts)
    url = f"{endpoints.api}/{quote(file_id)}?alt=media&supportsAllDrives=true"
    return HttpFile(url, _AsTaskFailure(session), location=location, check=check)


class _AsTaskFailure(requests.Session):
    """Turns Google's refusals to sign in into the core's errors."""

    def __init__(self, session: requests.Session) -> None:
        super().__init__()
        self._session = session

    def get(self, url: str | bytes, **options: Any) -> requests.Response:
        from google.auth.exceptions import RefreshError, TransportError

        try:
            return self._session.get(url, **options)
        except RefreshError as refused:
            raise UsageError(f"Google refuses the service account: {refused}") from refused
        except TransportError as failed:
            raise EnvironmentFailure("Google", f"no answer to the sign-in of the service account: {failed}") from failed


def _refuse_page(location: str, answer: requests.Response) -> None:
    """Drive says no with a page, often with status 200."""
    host = urlsplit(answer.url).hostname
    is_page = answer.headers.get("Content-Type", "").startswith("text/html")
    if host != _LOGIN_HOST and not is_page and answer.status_code not in (401, 403, 404):
        return
    page = answer.raw.read(1 << 16, decode_content=True).decode(errors="replace") if is_page else ""
    answer.close()
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
    if answer.status_code == 404:
        raise SourceMissing(location, "Drive knows no such file, or does not show it to everyone")
    if "quota" in text.lower() or "too many users" in text.lower():
        raise EnvironmentFailure("Google Drive", f"{location} was read too often today", "try again tomorrow, or make a copy of the file")
    raise SourceNotPublic(location, "Drive answers with a page and not with the file: it is not public")
