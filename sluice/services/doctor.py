"""`sluice doctor`: look at everything the services stand on, and say what to do about what is wrong."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

from include.errors import SluiceError
from sluice.services import jars, process, s3proxy, secrecy
from sluice.services.addresses import AIRFLOW_PASSWORD
from sluice.services.errors import Unhealthy
from sluice.services.java import find_java
from sluice.services.postgres import binary, connect, unprivileged
from sluice.services.service import Service
from sluice.services.state import AIRFLOW_LOGIN, BUCKET, LEDGER_DATABASE, LEDGER_USER, LOOPBACK, State, is_free

GIB = 1024**3
DISK_NEEDED = 5 * GIB
MEMORY_NEEDED = 4 * GIB
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
CLOCK_SLACK = 60.0


class Verdict(StrEnum):
    FINE = "fine"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `remedy` says what to do where it is not fine."""

    check: str
    verdict: Verdict
    text: str
    remedy: str = ""


def examine(state: State, services: Sequence[Service]) -> Iterator[Finding]:
    """All checks, in the order in which a problem in one explains those after it."""
    yield _guarded("environment", _environment)
    for check in (_user, _python, _java, _postgres, _jars, _disk, _memory, _clock, _attributes, _settings, _passwords):
        yield _guarded(check.__name__.strip("_"), lambda check=check: check(state))  # type: ignore[misc]
    if not state.exists:
        yield Finding("services", Verdict.NOTE, f"there are none yet in {state.root}", "run `sluice up`")
        return
    yield _secrets(state)
    for service in services:
        yield _service(state, service)
    if process.running(state, "postgres"):
        yield _guarded("ledger", lambda: _ledger(state))
    if process.running(state, "s3"):
        yield _guarded("bucket", lambda: _bucket(state))
    if process.running(state, "airflow-api-server"):
        yield _guarded("airflow login", lambda: _airflow_login(state))
    yield _listening(state, services)


def _environment() -> Finding:
    """Which services SLUICE_ENV means, and where that is said."""
    from sluice.environments import Environment, environment_of, lacking, settings_file, with_settings

    environment, variables = environment_of(os.environ), with_settings(os.environ)
    path, missing = settings_file(environment), lacking(variables)
    if missing and environment is not Environment.DEV:
        remedy = f"say it in {path} or as a variable; see docs/runbooks/environments.md"
        return Finding("environment", Verdict.WRONG, f"{environment}: {', '.join(missing)} not set", remedy)
    where = "the embedded services" if missing else f"s3://{variables['SLUICE_BUCKET']}, {variables['PGDATABASE']} on {variables['PGHOST']}"
    return Finding("environment", Verdict.FINE, f"{environment}: {where}")


def _guarded(check: str, make: Callable[[], Finding]) -> Finding:
    """A check that cannot be done is a finding as well."""
    import psycopg
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return make()
    except (SluiceError, OSError, HTTPException, psycopg.Error, BotoCoreError, ClientError) as error:
        remedy = "" if isinstance(error, SluiceError) else "run `sluice up`, then look at its log"
        return Finding(check, Verdict.WRONG, str(error).strip(), remedy)


def _user(_: State) -> Finding:
    try:
        return Finding("user", Verdict.FINE, pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        remedy = "add a line for it to /etc/passwd: PostgreSQL and Spark ask for the name"
        return Finding("user", Verdict.WRONG, f"user id {os.geteuid()} has no name", remedy)


def _python(_: State) -> Finding:
    here = sys.version_info[:2]
    text = f"{sys.version.split()[0]} at {sys.executable}"
    if OLDEST_PYTHON <= here <= NEWEST_PYTHON:
        return Finding("python", Verdict.FINE, text)
    return Finding("python", Verdict.WRONG, text, "Sluice runs on Python 3.11 to 3.13: install one and run `make setup` again")


def _java(state: State) -> Finding:
    java = find_java(state)
    return Finding("java", Verdict.FINE, f"{java.version} from {java.origin} at {java.home}")


def _postgres(_: State) -> Finding:
    text = str(binary("postgres"))
    if unprivileged() is not None:
        remedy = "the checkout must be one that `nobody` can enter; or run Sluice as another user than root"
        return Finding("postgresql", Verdict.NOTE, f"{text}; as root without user namespaces it runs as `nobody`", remedy)
    return Finding("postgresql", Verdict.FINE, text)


def _jars(_: State) -> Finding:
    wanted = jars.locked_jars()
    broken = jars.missing(wanted)
    if broken:
        text = f"{len(broken)} of {len(wanted)} missing or broken, first {broken[0].coordinate}"
        return Finding("jars", Verdict.WRONG, text, "run `make setup`")
    return Finding("jars", Verdict.FINE, f"{len(wanted)} in {jars.JARS}, checksums right")


def _disk(state: State) -> Finding:
    place = next(folder for folder in (state.root, *state.root.parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    text = f"{free / GIB:.1f} GiB free at {place}"
    if free < DISK_NEEDED:
        return Finding("disk", Verdict.WRONG, text, f"make room, {DISK_NEEDED // GIB} GiB at least, or set SLUICE_STATE to another disk")
    return Finding("disk", Verdict.FINE, text)


def _memory(_: State) -> Finding:
    available = psutil.virtual_memory().available
    text = f"{available / GIB:.1f} GiB available"
    if available < MEMORY_NEEDED:
        return Finding("memory", Verdict.NOTE, text, f"the services at work take about {MEMORY_NEEDED // GIB} GiB: close something large")
    return Finding("memory", Verdict.FINE, text)


def _clock(state: State) -> Finding:
    """A clock behind the files it wrote makes leases, logins and S3 signatures fail in ways nobody expects."""
    newest = max((path.stat().st_mtime for path in (jars.LOCK_FILE, *state.root.glob("log/*.log"))), default=0.0)
    behind = newest - time.time()
    if behind > CLOCK_SLACK:
        return Finding("clock", Verdict.WRONG, f"{behind:.0f} s behind the newest file here", "set the machine's clock")
    return Finding("clock", Verdict.FINE, time.strftime("%Y-%m-%d %H:%M:%S %Z"))


def _attributes(state: State) -> Finding:
    if not state.exists:
        return Finding("file attributes", Verdict.FINE, "not looked at before the first `sluice up`")
    if s3proxy.keeps_attributes(state.folder("s3")):
        return Finding("file attributes", Verdict.FINE, "the S3 server's folder holds them")
    remedy = "put the state on ext4, xfs or btrfs (SLUICE_STATE); here what killed uploads leave behind stays, under names no feed reads"
    return Finding("file attributes", Verdict.NOTE, f"the file system of {state.root} keeps no user attributes", remedy)


def _settings(state: State) -> Finding:
    """Settings are read by many and end in version control; a secret is a file of its own, a variable or a connection."""
    files = [state.project / ".env", *sorted((state.project / "config" / "environments").glob("*.env"))]
    if found := secrecy.plain_secrets_in(files):
        remedy = "take them out and change them: secrets are files (NAME_FILE), variables or Airflow connections; docs/deploy.md"
        return Finding("settings", Verdict.WRONG, f"secrets in plain text: {', '.join(found)}", remedy)
    return Finding("settings", Verdict.FINE, "no secret in plain text")


def _passwords(state: State) -> Finding:
    """Those of the embedded services, of the compose deployment of this checkout, and of this shell."""
    deployed = Path(os.environ.get("SLUICE_SECRETS") or state.project / "deploy" / "secrets")
    secrets = {name: os.environ[name] for name in ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AIRFLOW_PASSWORD") if os.environ.get(name)}
    known = secrecy.secrets_in(state.root / "secrets") | secrecy.secrets_in(deployed) | secrets
    if found := secrecy.weak_ones(known):
        return Finding(
            "passwords", Verdict.WRONG, "; ".join(found), "replace them: delete the file and make it anew, at least 16 random characters"
        )
    if deployed.is_dir() and stat.S_IMODE(deployed.stat().st_mode) & 0o077:
        return Finding("passwords", Verdict.WRONG, f"{deployed} is open to other users", f"chmod 700 {deployed}")
    return Finding("passwords", Verdict.FINE, f"{len(known)} looked at, none is short or a default")


def _secrets(state: State) -> Finding:
    files = sorted(path for path in (state.root / "secrets").iterdir() if path.is_file())
    files += [path for path in (state.root / "s3" / "s3proxy.properties", state.root / "spark" / "spark.properties") if path.is_file()]
    open_to_others = [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077 or path.stat().st_uid != os.geteuid()]
    if open_to_others:
        names = " ".join(str(path) for path in open_to_others)
        return Finding("secret files", Verdict.WRONG, f"{len(open_to_others)} can be read by others or are not yours", f"chmod 600 {names}")
    return Finding("secret files", Verdict.FINE, f"{len(files)} files, each readable by you alone")


def _service(state: State, service: Service) -> Finding:
    leader = process.running(state, service.name)
    if leader is None:
        if service.port is not None and not is_free(service.port):
            text = f"not running, and another program has port {service.port}"
            return Finding(service.name, Verdict.NOTE, text, "`sluice up` takes another port")
        died = process.read_record(state, service.name) is not None
        return Finding(service.name, Verdict.WRONG if died else Verdict.NOTE, "died" if died else "not running", "run `sluice up`")
    try:
        service.probe()
    except Unhealthy as unhealthy:
        remedy = f"look at {state.log(service.name)}; `sluice down` and `sluice up` start it anew"
        return Finding(service.name, Verdict.WRONG, str(unhealthy), remedy)
    return Finding(service.name, Verdict.FINE, f"pid {leader.pid}" + (f", port {service.port}" if service.port else ""))


def _ledger(state: State) -> Finding:
    question = "select max(number), abs(extract(epoch from clock_timestamp() - %s::timestamptz)) from schema_migration"
    with connect(state, LEDGER_DATABASE, LEDGER_USER) as connection:
        row = connection.execute(question, [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())]).fetchone()
    number, apart = row or (None, 0)
    if apart > CLOCK_SLACK:
        return Finding("ledger", Verdict.WRONG, f"PostgreSQL's clock and this one are {apart:.0f} s apart", "set the machine's clock")
    return Finding("ledger", Verdict.FINE, f"login works, migrated to number {number}")


def _bucket(state: State) -> Finding:
    s3proxy.client(state).list_objects_v2(Bucket=BUCKET, MaxKeys=1)
    return Finding("bucket", Verdict.FINE, f"s3://{BUCKET} can be listed")


def _airflow_login(state: State) -> Finding:
    connection = HTTPConnection(LOOPBACK, state.port("airflow"), timeout=10)
    try:
        login = json.dumps({"username": AIRFLOW_LOGIN, "password": state.secret(AIRFLOW_PASSWORD)})
        connection.request("POST", "/auth/token", login, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        text = f"Airflow answers {answer.status} to the kept password"
        return Finding("airflow login", Verdict.WRONG, text, "run `sluice down` and `sluice up`")
    return Finding("airflow login", Verdict.FINE, f"{AIRFLOW_LOGIN} can log in")


def _listening(state: State, services: Sequence[Service]) -> Finding:
    """What our processes listen on, all of it on loopback."""
    exposed = [f"{service.name} on {address}" for service in services for address in listening_beyond_loopback(state, service.name)]
    if exposed:
        return Finding("network", Verdict.WRONG, f"reachable from outside: {', '.join(exposed)}", "run `sluice down` and tell us")
    return Finding("network", Verdict.FINE, "nothing of ours listens beyond loopback")


def listening_beyond_loopback(state: State, service: str) -> list[str]:
    """Addresses other machines could reach a service or one of its children at."""
    found = []
    for member in process.family(state, service):
        try:
            sockets = member.net_connections(kind="inet")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # gone meanwhile, or another user's
        found += [f"{s.laddr.ip}:{s.laddr.port}" for s in sockets if s.status == psutil.CONN_LISTEN and not _is_loopback(s.laddr.ip)]
    return sorted(set(found))


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.removeprefix("::ffff:").startswith("127.")
