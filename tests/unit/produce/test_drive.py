"""Google Drive's answers, spoken by a server on loopback: what is made of them. That Google still speaks so is not tested here."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from include.errors import EnvironmentFailure, SluiceError, UsageError
from sluice.produce.drive import Endpoints, private_file, public_file
from sluice.produce.errors import SourceMissing, SourceNotPublic
from sluice.produce.origins import HttpFile
from sluice.produce.sources import Source
from tests.http_server import Site, served

FILE_ID = "1A2b3C4d5E6f7G8h9I0jK1L2m3N4o5P6q"
CONTENT = b"step,customer\n1,'a'\n"
PAGE = {"Content-Type": "text/html; charset=utf-8"}


def read(file: HttpFile) -> bytes:
    with Source(file).open() as stream:
        return stream.read()


def test_a_public_file_is_asked_for_past_the_page_about_virus_scans() -> None:
    with served(Site(CONTENT)) as site:
        file = public_file(FILE_ID, requests.Session(), Endpoints(public=f"{site.url}/download"))
        assert read(file) == CONTENT
        assert file.location == f"drive:{FILE_ID}"
        assert {path for path, _ in site.asked} == {f"/download?id={FILE_ID}&export=download&confirm=t"}


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "says"),
    [
        (200, PAGE, b"<html><body>Sign in to continue to Google Drive</body></html>", SourceNotPublic, "it is not public"),
        (200, PAGE, b"<p>Sorry, the download quota for this file has been exceeded</p>", EnvironmentFailure, "read too often today"),
        (403, PAGE, b"<p>You need access</p>", SourceNotPublic, "Share it as 'Anyone with the link'"),
        (404, PAGE, b"<p>The requested URL was not found</p>", SourceMissing, "knows no such file, or does not show it to everyone"),
    ],
)  # fmt: skip
def test_a_page_instead_of_the_file_is_understood(
    status: int, headers: dict[str, str], body: bytes, error: type[SluiceError], says: str
) -> None:
    with served(Site(answers=lambda *_: (status, headers, body))) as site, pytest.raises(error, match=says):
        Source(public_file(FILE_ID, requests.Session(), Endpoints(public=f"{site.url}/download")))


def service_account(token_uri: str) -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {"type": "service_account", "client_email": "reader@project", "private_key": pem.decode(), "token_uri": token_uri}


@pytest.mark.parametrize("shared", [True, False])
def test_a_service_account_signs_in_and_reads_what_is_shared_with_it(shared: bool) -> None:
    def answers(_: str, headers: Any) -> tuple[int, dict[str, str], bytes] | None:
        if headers.get("Authorization") == "Bearer of-the-test" and shared:
            return None
        return 404, {"Content-Type": "application/json"}, b'{"error": {"code": 404}}'

    with served(Site(CONTENT, answers=answers, token=json.dumps({"access_token": "of-the-test", "expires_in": 3600}))) as site:
        file = private_file(FILE_ID, service_account(f"{site.url}/token"), Endpoints(api=f"{site.url}/files"))
        if shared:
            assert read(file) == CONTENT
            assert site.asked[-1][0] == f"/files/{FILE_ID}?alt=media&supportsAllDrives=true"
        else:
            with pytest.raises(SourceMissing, match=r"Drive shows no such file to reader@project \(answer 404\); share the file"):
                read(file)


def test_a_service_account_that_google_refuses_is_named_as_the_reason() -> None:
    refusal = json.dumps({"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
    with served(Site(CONTENT, token=refusal, token_status=400)) as site:
        file = private_file(FILE_ID, service_account(f"{site.url}/token"), Endpoints(api=f"{site.url}/files"))
        with pytest.raises(UsageError, match=r"Google refuses the service account: .*Invalid JWT Signature"):
            read(file)


def test_what_is_no_service_account_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(UsageError, match="no service account's key"):
        private_file(FILE_ID, {"type": "authorized_user"})
