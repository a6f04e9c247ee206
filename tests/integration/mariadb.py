"""A MariaDB of its own for a test, from Debian's packages: installed, or fetched and unpacked beside the tests, which needs no root."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from tests.integration import debian

PACKAGES = ("mariadb-server-core", "mariadb-server", "mariadb-common", "libmariadb3", "liburing2", "libpmem1", "libndctl6", "libdaxctl1")
PACKAGES = (*PACKAGES, "libnuma1", "libaio1")


def server() -> tuple[Path, dict[str, str]]:
    """Where `mariadbd` is, and the environment that it needs.

    Raises:
        NotToBeHad: it is not installed, and cannot be unpacked from Debian's packages.
    """
    installed = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if installed:
        return Path(installed), dict(os.environ)
    root = debian.unpacked("mariadb", PACKAGES)
    return root / "usr" / "sbin" / "mariadbd", {**os.environ, "LD_LIBRARY_PATH": debian.libraries(root)}


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """An empty MariaDB on a socket; the URL of its database `finance`."""
    binary, environment = server()
    data, socket = folder / "data", folder / "s"
    data.mkdir(parents=True)
    common = [str(binary), "--no-defaults", f"--datadir={data}", f"--socket={socket}", "--skip-networking", "--innodb-buffer-pool-size=32M"]
    if os.geteuid() == 0:
        common.append("--user=root")
    share = binary.parents[1] / "share"
    common += [f"--lc-messages-dir={share / 'mysql'}", f"--character-sets-dir={share / 'mysql' / 'charsets'}"]
    text = "create database mysql;\nuse mysql;\n" + "".join(
        (share / "mysql" / name).read_text() for name in ("mysql_system_tables.sql", "mysql_system_tables_data.sql")
    )
    made = subprocess.run([*common, "--bootstrap"], input=text.encode(), env=environment, check=False, capture_output=True, timeout=120)
    assert made.returncode == 0, made.stderr.decode()[-2000:]
    log = folder / "log"
    with log.open("wb") as told:
        process = subprocess.Popen([*common, "--skip-grant-tables"], env=environment, stdout=told, stderr=told)
    try:
        for _ in range(240):
            if b"ready for connections" in log.read_bytes():
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.25)
        engine = sa.create_engine(f"mariadb+pymysql://root@localhost/?unix_socket={socket}")
        with engine.begin() as connection:
            connection.execute(sa.text("create database finance"))
        engine.dispose()
        yield f"mariadb://root@localhost/finance?unix_socket={socket}"
    finally:
        process.terminate()
        process.wait(60)
