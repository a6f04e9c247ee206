"""What a run may be told to read: hostile places are refused whatever they look like, and those that are meant are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from include.errors import UsageError
from include.files.file import Source
from include.hosts import AllowedHosts
from include.inputs import FOLDER, HOSTS, PLACES, UNRESTRICTED, InputPolicy, InputRefused, has_secret, policy_for

SECRET = b"postgresql://airflow:word@postgres/airflow"
PLACE = Source("lake", "landing/stocks/")


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """The folder that may be read, beside one with a secret in it."""
    (tmp_path / "run" / "secrets").mkdir(parents=True)
    (tmp_path / "run" / "secrets" / "key.csv").write_bytes(SECRET)
    folder = tmp_path / "input"
    (folder / "deeper").mkdir(parents=True)
    (folder / "deeper" / "good.csv").write_bytes(b"good")
    return folder


def bounded(inside: Path, **variables: str) -> InputPolicy:
    return policy_for((PLACE,), {FOLDER: str(inside), **variables})


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("link.csv", "{outside}/key.csv"),
        ("relative.csv", "../run/secrets/key.csv"),
        ("folder/key.csv", "{outside}"),
        ("deeper/link.csv", "../link.csv"),
        ("environment.csv", "/proc/self/environ"),
        ("root.csv", "/proc/self/root/{outside}/key.csv"),
    ],
)
def test_a_link_out_of_the_folder_is_refused_wherever_it_stands_in_the_path(inside: Path, name: str, target: str) -> None:
    outside = inside.parent / "run" / "secrets"
    (inside / "link.csv").symlink_to(outside / "key.csv")
    made = inside / name.removesuffix("/key.csv")
    if not made.is_symlink():
        made.symlink_to(target.format(outside=outside))
    with pytest.raises(InputRefused, match=f"lies outside the folder that this run may read .*{FOLDER}"):
        bounded(inside).open_file(name)


@pytest.mark.parametrize(
    "location",
    [
        "{outside}/key.csv", "../run/secrets/key.csv", "deeper/../../run/secrets/key.csv", "{inside}/../run/secrets/key.csv",
        "/proc/self/environ",
        "/etc/passwd", "/dev/zero", "/no/such/file", "{inside}", "{inside}/", ".", "..", "/",
        "/run/secrets/airflow_connections.json", "{inside}x",
    ],
)  # fmt: skip
def test_a_path_that_is_not_below_the_folder_is_refused_whether_it_is_there_or_not(inside: Path, location: str) -> None:
    Path(f"{inside}x").write_bytes(SECRET)
    outside = inside.parent / "run" / "secrets"
    with pytest.raises(InputRefused):
        bounded(inside).open_file(location.format(outside=outside, inside=inside))


@pytest.mark.parametrize(
    "location", ["", "a\0b", "~root/key.csv", "~", "no.csv", "x" * 5000, "file:/etc/passwd", "deeper", "pipe", "deeper/good.csv/x"]
)
def test_what_is_no_file_of_the_folder_is_not_opened(inside: Path, location: str) -> None:
    os.mkfifo(inside / "pipe")
    with pytest.raises((OSError, InputRefused)):
        bounded(inside).open_file(location)


def test_files_of_the_folder_are_read_by_a_relative_or_a_whole_path_and_through_links_that_stay_in_it(inside: Path, tmp_path: Path) -> None:
    (inside / "link").symlink_to("deeper")
    (inside / "a.csv").symlink_to(inside / "deeper" / "good.csv")
    (tmp_path / "alias").symlink_to(inside)
    for location in ("deeper/good.csv", f"{inside}/deeper/good.csv", "link/good.csv", "a.csv", f"{tmp_path}/alias/a.csv", "link/../a.csv"):
        with bounded(inside).open_file(location) as stream:
            assert stream.read() == b"good"
    with bounded(tmp_path / "alias").open_file("a.csv") as stream:
        assert stream.read() == b"good"


@pytest.mark.parametrize("swapped", ["deeper", "deeper/good.csv"])
def test_a_link_that_is_put_in_the_way_between_look_and_opening_is_not_followed(
    inside: Path, swapped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inside.parent / "run" / "secrets" / "good.csv").write_bytes(SECRET)
    resolved = os.path.realpath

    def and_then_swap(path: str | Path) -> str:
        found = resolved(path)
        if found.endswith("good.csv"):
            (inside / swapped).rename(inside / "away")
            (inside / swapped).symlink_to(inside.parent / "run" / "secrets" / ("good.csv" if swapped.endswith("csv") else ""))
        return found

    monkeypatch.setattr(os.path, "realpath", and_then_swap)
    with pytest.raises(OSError):
        bounded(inside).open_file("deeper/good.csv")
    assert (inside / swapped / "good.csv" if swapped == "deeper" else inside / swapped).read_bytes() == SECRET


def test_without_a_folder_no_path_is_read_and_a_person_reads_what_he_can(inside: Path) -> None:
    with pytest.raises(InputRefused, match="may read no folder"):
        policy_for((), {}).open_file(f"{inside}/deeper/good.csv")
    with UNRESTRICTED.open_file(str(inside.parent / "run/secrets/key.csv")) as stream:
        assert stream.read() == SECRET


@pytest.mark.parametrize(
    "uri",
    [
        "s3://lake/state/stocks/x.parquet", "s3://lake/error/transactions/a.csv", "s3://lake/landing/stocks",
        "s3://lake/landing/stocks/",
        "s3://lake/landing/stocksx/a.json", "s3://lake/landing/stocks/../../state/a.json", "s3://lake/landing/stocks/./a.json",
        "s3://lake/",
        "s3://lake/landing/stocks//a.json", "s3://other/landing/stocks/a.json", "s3:///landing/stocks/a.json",
        "s3://Lake/landing/stocks/a.json",
        "s3://x@lake/landing/stocks/a.json", "s3://lake/%6canding/stocks/a.json", "s3://lake//landing/stocks/a.json",
        "s3://lake", "s3://",
        "s3://lake:443/landing/stocks/a.json", "s3://lake/LANDING/stocks/a.json",
    ],
)  # fmt: skip
def test_an_object_that_is_not_in_a_place_of_the_feed_is_refused(uri: str) -> None:
    with pytest.raises(InputRefused, match=f"outside what this run may read of the store: s3://lake/landing/stocks/;.*{PLACES}"):
        policy_for((PLACE,), {}).object_at(uri)


def test_objects_of_the_feed_and_of_places_that_the_deployment_names_are_read() -> None:
    policy = policy_for((PLACE,), {PLACES: "s3://drop/a/, s3://drop/b/"})
    for uri in ("s3://lake/landing/stocks/dt=2026-11-01/a b?.json", "s3://drop/a/x/y.json", "s3://drop/b/y.json"):
        assert "s3://{}/{}".format(*policy.object_at(uri)) == uri
    assert UNRESTRICTED.object_at("s3://any/thing") == ("any", "thing")


@pytest.mark.parametrize(
    ("variable", "value"),
    [(FOLDER, "/"), (FOLDER, "input"), (PLACES, "lake/x/"), (PLACES, "s3://lake/"), (HOSTS, "https://example.com/"), (HOSTS, "a b/c")],
)
def test_a_setting_that_opens_everything_or_means_nothing_is_refused(variable: str, value: str) -> None:
    with pytest.raises(UsageError):
        policy_for((), {variable: value})


SPECIAL = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.3.4",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "240.0.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%2",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001::1",
    "2001:db8::1",
]


@pytest.mark.parametrize("address", SPECIAL)
def test_an_address_that_is_not_of_the_internet_is_refused_unless_it_is_named(address: str) -> None:
    assert not AllowedHosts.parse("*").admits("example.com", 80, address)
    assert not AllowedHosts.parse("other.example.com *.org 203.0.113.0/24").admits("example.com", 80, address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_an_address_of_the_internet_is_for_every_host_unless_the_list_names_others(address: str) -> None:
    assert AllowedHosts.parse("*").admits("example.com", 80, address)
    assert not AllowedHosts.parse("other.example.com").admits("example.com", 80, address)


@pytest.mark.parametrize(
    ("entries", "host", "port", "address", "admitted"),
    [
        ("data.example.com", "DATA.example.com.", 80, "10.0.0.1", True),
        ("data.example.com:8080", "data.example.com", 80, "10.0.0.1", False),
        ("data.example.com:8080", "data.example.com", 8080, "127.0.0.1", True),
        ("*.example.com", "a.b.example.com", 80, "10.0.0.1", True),
        ("*.example.com", "example.com", 80, "10.0.0.1", False),
        ("*.example.com", "evilexample.com", 80, "10.0.0.1", False),
        ("data.example.com", "data.example.com", 80, "169.254.169.254", False),
        ("data.example.com", "data.example.com", 80, "fd00:ec2::254", False),
        ("0.0.0.0/0 ::/0", "x", 80, "169.254.169.254", False),
        ("0.0.0.0/0 ::/0", "x", 80, "::ffff:169.254.169.254", False),
        ("10.1.0.0/16", "any", 80, "10.1.2.3", True),
        ("10.1.0.0/16", "any", 80, "10.2.2.3", False),
        ("10.1.0.0/16", "any", 80, "::ffff:10.1.2.3", True),
        ("169.254.169.254", "any", 80, "169.254.169.254", True),
        ("[fd00::7]:81", "any", 81, "fd00::7", True),
        ("fd00::7", "any", 81, "fd00::7", True),
        ("[fd00::7]:81", "any", 80, "fd00::7", False),
        ("*:443", "x", 80, "8.8.8.8", False),
    ],
)
def test_the_list_says_names_addresses_networks_and_ports(entries: str, host: str, port: int, address: str, admitted: bool) -> None:
    assert AllowedHosts.parse(entries).admits(host, port, address) is admitted


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://b.s3.amazonaws.com/a.csv?X-Amz-Credential=k&X-Amz-Signature=s", True),
        ("https://storage.googleapis.com/b/a?X-Goog-Signature=s", True),
        ("https://a.blob.core.windows.net/c/a.csv?sv=1&sig=s", True),
        ("https://token@host/a.csv", True),
        ("mariadb://me:word@host/db", True),
        ("https://host/a?day=1&access_token=t", True),
        ("https://drive.google.com/file/d/1A2b3C4d5E6f7G8h9I0jK1L2m3N4o5P6q/view?usp=sharing&resourcekey=0-a", False),
        ("postgresql://me@host:5432/db?sslmode=require", False),
        ("https://host:8080/design@home/a.csv?signal=1", False),
        ("landing/a:b@c.csv", False),
    ],
)
def test_an_address_with_a_secret_in_it_is_told_from_one_without(url: str, secret: bool) -> None:
    assert has_secret(url) is secret
