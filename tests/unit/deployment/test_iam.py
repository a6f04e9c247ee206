"""What the S3 policies allow, read as S3 reads them: only what a statement names, and nothing else."""

from __future__ import annotations

import fnmatch
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from sluice.deployment.s3_users import for_bucket, make_users
from sluice.services.state import PROJECT
from tools.trial.s3_roles import CASES, LIST, REFUSED, ROLES, Case, evaluated

FOLDER = PROJECT / "deploy" / "iam"
BUCKET = "arn:aws:s3:::sluice"


def allows(policy: str, action: str, key: str) -> bool:
    """Whether a statement allows the action on the key (of a list: on the prefix); a policy here never denies, so nothing else decides."""
    statements = json.loads((FOLDER / f"{policy}.json").read_text())["Statement"]
    assert {statement["Effect"] for statement in statements} == {"Allow"}
    resource = BUCKET if action == LIST else f"{BUCKET}/{key}"
    return any(
        action in statement["Action"]
        and any(fnmatch.fnmatchcase(resource, place) for place in statement["Resource"])
        and any(fnmatch.fnmatchcase(key, prefix) for prefix in prefixes(statement))
        for statement in statements
    )


def prefixes(statement: dict[str, Any]) -> list[str]:
    condition = statement.get("Condition", {"StringLike": {"s3:prefix": ["*"]}})
    assert list(condition) == ["StringLike"]
    assert list(condition["StringLike"]) == ["s3:prefix"]
    return condition["StringLike"]["s3:prefix"]


@pytest.mark.parametrize("case", CASES)
def test_a_policy_allows_what_its_role_does_and_no_more(case: Case) -> None:
    assert allows(case.role, case.action, case.key) is case.allowed


def test_each_role_is_asked_for_something_it_may_and_something_it_may_not() -> None:
    assert {(case.role, case.allowed) for case in CASES} == {(role, allowed) for role in ROLES for allowed in (True, False)}
    assert len(set(CASES)) == len(CASES)


def test_a_reader_cannot_write_anywhere_and_nobody_may_change_the_bucket_itself() -> None:
    granted = {
        path.stem: {action for statement in json.loads(path.read_text())["Statement"] for action in statement["Action"]}
        for path in FOLDER.glob("*.json")
    }
    assert set(granted) == {"producer", "ingest", "spark", "reader"}
    assert granted["reader"] == {"s3:GetObject", "s3:ListBucket"}
    for actions in granted.values():
        assert not [
            action for action in actions if "*" in action or "Policy" in action or action.startswith(("s3:PutBucket", "s3:Delete"))
        ] or ({action for action in actions if action.startswith("s3:Delete")} == {"s3:DeleteObject"})


class Iam:
    """What a store's IAM keeps: users, their policies and keys."""

    class exceptions:  # noqa: N801 - a boto3 client calls it so
        class EntityAlreadyExistsException(Exception): ...

    def __init__(self) -> None:
        self.policies: dict[str, str] = {}
        self.keys: dict[str, list[str]] = {}
        self.made = 0

    def create_user(self, **said: str) -> None:
        if said["UserName"] in self.keys:
            raise self.exceptions.EntityAlreadyExistsException
        self.keys[said["UserName"]] = []

    def put_user_policy(self, **said: str) -> None:
        self.policies[f"{said['UserName']}/{said['PolicyName']}"] = said["PolicyDocument"]

    def list_access_keys(self, **said: str) -> dict[str, Any]:
        return {"AccessKeyMetadata": [{"AccessKeyId": key} for key in self.keys[said["UserName"]]]}

    def delete_access_key(self, **said: str) -> None:
        self.keys[said["UserName"]].remove(said["AccessKeyId"])

    def create_access_key(self, **said: str) -> dict[str, Any]:
        self.made += 1
        self.keys[said["UserName"]].append(f"key {self.made}")
        return {"AccessKey": {"AccessKeyId": f"key {self.made}", "SecretAccessKey": f"secret {self.made}"}}


def test_a_user_is_made_for_each_policy_once_and_keys_that_were_lost_or_are_foreign_are_replaced(tmp_path: Path) -> None:
    iam = Iam()
    users = ["b-ingest", "b-producer", "b-reader", "b-spark"]
    assert make_users(iam, FOLDER, "b", tmp_path) == users
    assert make_users(iam, FOLDER, "b", tmp_path) == []
    (tmp_path / "s3_spark_secret_key").unlink()
    (tmp_path / "s3_reader_access_key").unlink()
    (tmp_path / "s3_reader_access_key").write_text("of a store that is gone")
    assert make_users(iam, FOLDER, "b", tmp_path) == ["b-reader", "b-spark"]
    assert iam.keys == {"b-ingest": ["key 1"], "b-producer": ["key 2"], "b-reader": ["key 5"], "b-spark": ["key 6"]}
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        f"s3_{role}_{kind}_key": f"{word} {number}"
        for role, number in {"ingest": 1, "producer": 2, "reader": 5, "spark": 6}.items()
        for kind, word in {"access": "key", "secret": "secret"}.items()
    }
    assert stat.S_IMODE((tmp_path / "s3_spark_secret_key").stat().st_mode) == 0o444
    assert set(iam.policies) == {f"{user}/sluice" for user in users}


def test_a_policy_for_another_bucket_names_that_one_alone() -> None:
    for path in FOLDER.glob("*.json"):
        rendered = json.loads(for_bucket(path.read_text(), "other"))
        resources = [place for statement in rendered["Statement"] for place in statement["Resource"]]
        assert {place.split("/")[0] for place in resources} == {"arn:aws:s3:::other"}
        assert json.loads(for_bucket(path.read_text(), "sluice")) == json.loads(path.read_text())


def test_a_store_that_answers_one_request_otherwise_is_found() -> None:
    answers = ["done" if case.allowed else REFUSED for case in CASES]
    bucket = {role: [REFUSED, REFUSED] for role in ROLES}
    allowed = sum(case.allowed for case in CASES)
    assert evaluated(answers, bucket) == {"allowed": allowed, "refused": len(CASES) - allowed + 2 * len(ROLES)}
    for wrong in ([*answers[:-1], "done"], ["AccessDenied and done", *answers[1:]], [*answers[:-1], "NoSuchKey"]):
        with pytest.raises(AssertionError, match="Case"):
            evaluated(wrong, bucket)
    for opened in ({**bucket, "reader": [REFUSED, "done"]}, {role: bucket[role] for role in ROLES[1:]}):
        with pytest.raises(AssertionError):
            evaluated(answers, opened)
