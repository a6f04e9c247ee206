"""URLs of a run with bounds, on a real server on loopback: what is not named is not even connected to, however it is spelled."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.errors import EnvironmentFailure, UsageError
from include.inputs import FOLDER, HOSTS, InputRefused, policy_for
from sluice.produce.drive import Endpoints, private_file
from sluice.produce.guarded import session_for
from sluice.produce.sources import Source, source
from tests.http_server import Site, served
from tests.unit.produce.test_drive import FILE_ID, service_account

CONTENT = b"step,customer\n" + b"1,'a'\n" * 50_000


@pytest.fixture
def site() -> Iterator[Site]:
    with served(Site(CONTENT)) as running:
        yield running


def port(site: Site) -> int:
    return int(site.url.rpartition(":")[2])


def opened(location: str, hosts: str = "*", **variables: str) -> Source:
    return source(location, policy=policy_for((), {HOSTS: hosts, **variables}))


def read(what: Source) -> bytes:
    with what.open() as stream:
        return stream.read()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "LOCALHOST", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1",
        "127.0.0.2",
        "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "user@127.0.0.1",
        "example.com@127.0.0.1",
        "user:word@localhost", "①②⑦.0.0.1", "127。0。0。1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["http", "HTTPS"])
def test_loopback_is_not_asked_however_it_is_spelled(site: Site, host: str, scheme: str) -> None:
    with pytest.raises(UsageError):
        opened(f"{scheme}://{host}:{port(site)}/a.csv")
    assert site.asked == []


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://10.0.0.1/",
        "http://192.168.0.1:9000/sluice/state", "http://2852039166/",
        "http://100.100.100.200/", "http://168.63.129.16/", "http://[::ffff:a9fe:a9fe]/", "http://[64:ff9b::a9fe:a9fe]/",
        "http://224.0.0.1/",
        "file:///etc/passwd", "FILE:///etc/passwd", "file://localhost/etc/passwd", "ftp://host/a.csv",
        "gopher://127.0.0.1:5432/_x", "dict://127.0.0.1:1/",
        "jar:http://x!/", "data://text/plain,x", "unix:///run/x", "http+unix://%2frun%2fx/", "ldap://127.0.0.1/",
        "s3://sluice/state/x", "http://[", "http://",
        "http:///a.csv", "http://h:99999/", "http://h:0x50/", "javascript://x", "://x", "drive:short",
        "connection:sluice_ledger://x",
    ],
)  # fmt: skip
def test_other_addresses_and_schemes_are_refused_in_words(location: str) -> None:
    with pytest.raises(UsageError):
        opened(location)


@pytest.mark.parametrize("hosts", ["127.0.0.1", "127.0.0.0/8", "* localhost"])
def test_what_is_named_is_read_to_its_end_although_it_breaks_off(site: Site, hosts: str) -> None:
    host = "localhost" if "localhost" in hosts else "127.0.0.1"
    found = opened(f"http://{host}:{port(site)}/a.csv", hosts)
    site.breaks = [len(CONTENT), 100_000]
    assert read(found) == CONTENT


def test_a_port_that_is_not_named_is_not_asked(site: Site) -> None:
    assert read(opened(site.url, f"127.0.0.1:{port(site)}")) == CONTENT
    asked = len(site.asked)
    with pytest.raises(InputRefused):
        opened(site.url, f"127.0.0.1:{port(site) - 1}")
    assert len(site.asked) == asked


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target", ["{other}/secret", "http://169.254.169.254/", "//{other_host}/secret", "file:///etc/passwd", "ftp://x/", "http://[::1]/"]
)
def test_each_step_of_a_redirect_is_looked_at(site: Site, status: int, target: str) -> None:
    with served(Site(b"secret")) as other:
        steps = {"/a": "/b", "/b": target.format(other=other.url, other_host=other.url.removeprefix("http://"))}
        site.answers = lambda path, _: (status, {"Location": steps[path]}, b"") if path in steps else None
        with pytest.raises(UsageError):
            opened(f"{site.url}/a", f"127.0.0.1:{port(site)}")
        assert other.asked == []
        assert [path for path, _ in site.asked] == ["/a", "/b"]


def test_a_redirect_to_what_is_named_is_followed(site: Site) -> None:
    site.answers = lambda path, _: (302, {"Location": "/there"}, b"") if path == "/a" else None
    assert read(opened(f"{site.url}/a", "127.0.0.1")) == CONTENT


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What names are resolved to, one look after another; the last is said for ever."""
    looked_up = socket.getaddrinfo
    known: dict[str, list[list[str]]] = {}

    def answer(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host not in known:
            return looked_up(host, port, *args, **options)
        addresses = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return [one for address in addresses for one in looked_up(address, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return known


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"], ["0.0.0.0"]]
)
def test_a_name_that_leads_to_such_an_address_is_refused(site: Site, names: dict[str, list[list[str]]], addresses: list[str]) -> None:
    names["data.example.com"] = [addresses]
    with pytest.raises(InputRefused, match=f"data.example.com:{port(site)} is at a private, loopback"):
        opened(f"http://data.example.com:{port(site)}/")
    assert site.asked == []


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(site: Site, names: dict[str, list[list[str]]]) -> None:
    names["rebound.example.com"] = [["127.0.0.1"], ["127.0.0.9"]]
    hosts: list[str] = []
    site.answers = lambda _, headers: hosts.append(headers["Host"])  # type: ignore[func-returns-value]
    opened(f"http://rebound.example.com:{port(site)}/", "127.0.0.1")
    assert hosts == [f"rebound.example.com:{port(site)}"]
    with pytest.raises(InputRefused):  # another connection is another look
        opened(f"http://rebound.example.com:{port(site)}/", "127.0.0.1")
    assert len(site.asked) == 1


def test_the_next_address_is_tried_where_one_does_not_answer(site: Site, names: dict[str, list[list[str]]]) -> None:
    names["two.example.com"] = [["127.0.0.3", "127.0.0.1"]]
    assert read(opened(f"http://two.example.com:{port(site)}/", "two.example.com")) == CONTENT
    with served(Site()) as gone:
        pass
    with pytest.raises(EnvironmentFailure, match="no answer for"):
        opened(f"http://two.example.com:{port(gone)}/", "two.example.com")


@pytest.mark.parametrize(("hosts", "asked"), [("*", 0), ("127.0.0.0/8", 0), ("data.example.com", 1)])
def test_a_proxy_is_asked_for_hosts_that_are_named_in_words_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch, hosts: str, asked: int
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", site.url)
    if asked:
        assert opened("http://data.example.com/a.csv", hosts).described.size == len(CONTENT)
    else:
        with pytest.raises(InputRefused, match="through a proxy"):
            opened("http://data.example.com/a.csv", hosts)
    assert [path for path, _ in site.asked] == ["http://data.example.com/a.csv"] * asked


def test_nobody_elses_password_goes_along(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password word\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    sent: list[str | None] = []

    def answers(path: str, headers: Any) -> tuple[int, dict[str, str], bytes] | None:
        sent.append(headers.get("Authorization"))
        return (302, {"Location": "/there"}, b"") if path == "/" else None

    site.answers = answers
    opened(site.url + "/", "127.0.0.1")
    assert sent == [None, None]


def test_the_sign_in_of_a_google_connection_goes_nowhere_else() -> None:
    with served(Site(token=json.dumps({"access_token": "t", "expires_in": 3600}))) as inner:
        hosts = policy_for((), {}).hosts
        file = private_file(FILE_ID, service_account(f"{inner.url}/token"), Endpoints(api=f"{inner.url}/files"), hosts=hosts)
        with pytest.raises(InputRefused):
            file.describe()
        assert inner.asked == []


def test_google_drive_is_read_whatever_hosts_are_named(names: dict[str, list[list[str]]]) -> None:
    names["drive.usercontent.google.com"] = [["127.0.0.1"]]  # nobody listens on port 443 here
    with pytest.raises(EnvironmentFailure, match=f"no answer for drive:{FILE_ID}"):
        opened(f"https://drive.google.com/file/d/{FILE_ID}/view", "data.example.com")


def test_a_person_reads_what_he_names(site: Site) -> None:
    assert read(source(site.url)) == CONTENT
    assert session_for(None).trust_env


def test_a_bare_id_of_drive_is_no_look_into_the_folders_of_the_worker(tmp_path: Path) -> None:
    (tmp_path / FILE_ID).write_bytes(b"mine")
    assert read(opened(FILE_ID, **{FOLDER: str(tmp_path)})) == b"mine"
    with pytest.raises(InputRefused):
        opened(str(tmp_path / FILE_ID), **{FOLDER: str(tmp_path / "other")})
