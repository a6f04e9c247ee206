"""The embedded S3 server: S3Proxy on a folder, with signatures checked."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.services.addresses import S3_ACCESS_KEY, S3_SECRET_KEY, s3_endpoint
from sluice.services.errors import Unhealthy
from sluice.services.jars import s3proxy_jar
from sluice.services.java import find_java
from sluice.services.process import Launch
from sluice.services.service import Service
from sluice.services.state import BUCKET, REGION, State

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FINISHED_ATTRIBUTE = "user.user.content-md5"
_UUID_AT_THE_END = re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def client(state: State, **changed: Any) -> S3Client:
    """A boto3 client of the embedded server that fails fast."""
    import boto3
    from botocore.config import Config

    settings: dict[str, Any] = {
        "endpoint_url": s3_endpoint(state),
        "region_name": REGION,
        "aws_access_key_id": state.secret(S3_ACCESS_KEY),
        "aws_secret_access_key": state.secret(S3_SECRET_KEY),
        "config": Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    }
    return boto3.client("s3", **settings | changed)


class S3Proxy(Service):
    """S3 on a folder of the state."""

    name = "s3"
    port_name = "s3"

    @property
    def objects(self) -> Path:
        return self.state.folder("s3", "objects")

    def prepare(self) -> None:
        remove_leftovers(self.objects)
        self.state.write_private(self._properties_file, self._properties())

    def launch(self) -> Launch:
        command = [
            str(find_java(self.state).binary),
            "-Xmx256m",
            "-XX:+ExitOnOutOfMemoryError",
            "-jar",
            str(s3proxy_jar()),
            "--properties",
            str(self._properties_file),
        ]
        return Launch(command, {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}, self.state.root, depends_on=[self._properties()])

    def probe(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client(self.state).list_buckets()
        except (BotoCoreError, ClientError) as error:
            raise Unhealthy(str(error)) from error

    def provision(self) -> None:
        s3 = client(self.state)
        if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
            s3.create_bucket(Bucket=BUCKET)

    @property
    def _properties_file(self) -> Path:
        return self.state.folder("s3") / "s3proxy.properties"

    def _properties(self) -> str:
        settings = {
            "s3proxy.endpoint": s3_endpoint(self.state),
            "s3proxy.authorization": "aws-v2-or-v4",
            "s3proxy.identity": self.state.secret(S3_ACCESS_KEY),
            "s3proxy.credential": self.state.secret(S3_SECRET_KEY),
            "jclouds.provider": "filesystem-nio2",
            "jclouds.filesystem.basedir": str(self.objects),
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())


def remove_leftovers(objects: Path) -> int:
    """Remove what uploads left that were killed half-way: `<key>-<uuid>` without the attribute that a finished object carries.

    Runs while the server is down. A finished object whose own name ends in a UUID has the attribute and stays; where the file system
    keeps no attributes nothing can be told apart, and nothing is removed.
    """
    if not keeps_attributes(objects):
        return 0
    leftovers = [path for path in objects.rglob("*-*") if _UUID_AT_THE_END.search(path.name) and path.is_file() and not is_finished(path)]
    for path in leftovers:
        path.unlink()
    return len(leftovers)


def is_finished(path: Path) -> bool:
    """Whether the server has marked this file as an object, which it does before it gives it its name."""
    if sys.platform != "linux":
        return True
    return FINISHED_ATTRIBUTE in os.listxattr(path)


def keeps_attributes(folder: Path) -> bool:
    """Whether the file system under this folder can hold what the server writes on its objects."""
    if sys.platform != "linux":
        return False
    try:
        os.setxattr(folder, "user.sluice.probe", b"1")
        os.removexattr(folder, "user.sluice.probe")
    except OSError:
        return False
    return True
