"""Requests to a store as each of its users, from inside the deployment: `python -c THIS FOLDER CASES`, the answers as JSON.

FOLDER holds every user's keys. Each object is put there and deleted as the root user, and requested as the role.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from include.clients import s3_client
from include.settings import S3Settings

AS_IT_WAS = b"as it was"


class RoleClient:
    def __init__(self, folder: Path, bucket: str, role: str) -> None:
        self._bucket = bucket
        self._root = self._client(folder, "s3")
        self._s3 = self._client(folder, f"s3_{role}")

    def _client(self, folder: Path, user: str) -> Any:
        key, secret = ((folder / f"{user}_{kind}_key").read_text() for kind in ("access", "secret"))
        return s3_client(S3Settings(self._bucket, os.environ["AWS_ENDPOINT_URL_S3"], key, secret))

    def request(self, action: str, key: str) -> str:
        """What the store answers, in all the ways in which the action can be requested."""
        if action == "s3:ListBucket":
            return self._answer(self._s3.list_objects_v2, Prefix=key)
        self._root.put_object(Bucket=self._bucket, Key=key, Body=AS_IT_WAS)
        try:
            answers = {
                "s3:GetObject": lambda: {self._answer(self._s3.get_object, Key=key)},
                "s3:PutObject": lambda: {
                    self._answer(self._s3.put_object, Key=key, Body=b"another"),
                    self._answer(self._in_parts, Key=key),
                },
                "s3:DeleteObject": lambda: {self._many(key), self._answer(self._s3.delete_object, Key=key)},
            }[action]()
            if answers != {"done"} and self._root.get_object(Bucket=self._bucket, Key=key)["Body"].read() != AS_IT_WAS:
                answers.add("the object is another")
            return " and ".join(sorted(answers))
        finally:
            self._root.delete_object(Bucket=self._bucket, Key=key)

    def bucket_itself(self) -> list[str]:
        return [
            self._answer(self._s3.delete_bucket),
            self._answer(self._s3.put_bucket_versioning, VersioningConfiguration={"Status": "Suspended"}),
            self._answer(self._s3.delete_bucket_policy),
        ]

    def _answer(self, call: Callable[..., Any], **words: Any) -> str:
        try:
            call(Bucket=self._bucket, **words)
        except ClientError as refused:
            return str(refused.response["Error"]["Code"])
        return "done"

    def _in_parts(self, **words: Any) -> None:
        self._s3.abort_multipart_upload(UploadId=self._s3.create_multipart_upload(**words)["UploadId"], **words)

    def _many(self, key: str) -> str:
        """The answer for one key of a request for many; such a request itself is always answered."""
        answer = self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": [{"Key": key}]})
        return str(next((error["Code"] for error in answer.get("Errors", ())), "done"))


def main(folder: str, cases: str) -> None:
    requests = json.loads(cases)
    roles = {role: RoleClient(Path(folder), os.environ["SLUICE_BUCKET"], role) for role, _, _ in requests}
    answers = [roles[role].request(action, key) for role, action, key in requests]
    print(json.dumps([answers, {role: one.bucket_itself() for role, one in roles.items()}]))


if __name__ == "__main__":
    main(*sys.argv[1:])
