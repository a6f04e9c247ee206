"""The store's users, one a policy, over AWS's IAM API: `python -m sluice.deployment.s3_users POLICIES SECRETS`. May run again.

Needs keys that may make users (AWS_*, as for the bucket); AWS_ENDPOINT_URL_IAM says where another IAM than AWS's is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from include.errors import UsageError
from sluice.deployment.passwords import keep
from sluice.environments import with_secret_files

WRITTEN_FOR = "arn:aws:s3:::sluice"
_POLICY = "sluice"


def for_bucket(policy: str, bucket: str) -> str:
    """A policy of deploy/iam, which speaks of the bucket `sluice`, for another one.

    >>> for_bucket('{"Resource": ["arn:aws:s3:::sluice", "arn:aws:s3:::sluice/lake/*"]}', "b")
    '{"Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/lake/*"]}'
    """
    here = f"arn:aws:s3:::{bucket}"
    return policy.replace(f'"{WRITTEN_FOR}"', f'"{here}"').replace(f'"{WRITTEN_FOR}/', f'"{here}/')


def make_users(iam: Any, policies: Path, bucket: str, secrets: Path) -> list[str]:
    """A user with its policy and one pair of keys for each file; whose keys are new."""
    made = []
    for path in sorted(policies.glob("*.json")):
        user = f"{bucket}-{path.stem}"
        try:
            iam.create_user(UserName=user)
        except iam.exceptions.EntityAlreadyExistsException:
            print(f"s3 users: {user} is there")
        iam.put_user_policy(UserName=user, PolicyName=_POLICY, PolicyDocument=for_bucket(path.read_text(), bucket))
        if _new_keys(iam, user, secrets, f"s3_{path.stem}"):
            made.append(user)
    return made


def _new_keys(iam: Any, user: str, secrets: Path, name: str) -> bool:
    """Whether the user's keys had to be made: there were none in the folder, or others than the store knows."""
    key, secret = secrets / f"{name}_access_key", secrets / f"{name}_secret_key"
    known = [one["AccessKeyId"] for one in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]]
    if key.is_file() and secret.is_file() and key.read_text() in known:
        return False
    for old in known:
        iam.delete_access_key(UserName=user, AccessKeyId=old)
    pair = iam.create_access_key(UserName=user)["AccessKey"]
    keep(key, pair["AccessKeyId"])
    keep(secret, pair["SecretAccessKey"])
    return True


def main(arguments: Sequence[str]) -> None:
    """Make them."""
    import boto3

    if len(arguments) != 2:
        raise UsageError("which folders? POLICIES (deploy/iam) and SECRETS")
    values = with_secret_files(os.environ)
    iam = boto3.client(
        "iam",
        aws_access_key_id=values.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=values.get("AWS_SECRET_ACCESS_KEY"),
        region_name=values.get("AWS_DEFAULT_REGION", "us-east-1"),
    )
    made = make_users(iam, Path(arguments[0]), values["SLUICE_BUCKET"], Path(arguments[1]))
    print(f"s3 users: new keys for {', '.join(made) or 'none'}")


if __name__ == "__main__":
    main(sys.argv[1:])
