"""What each policy of deploy/iam lets its user do, requested of a store that enforces them: real requests with each user's own keys."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from include.files import keys
from tools.trial import s3_requests
from tools.trial.deployment import Deployment

PUT, GET, DELETE, LIST = "s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket"
ROLES = ("producer", "ingest", "spark", "reader")
_FEED = "nobody"  # a feed that there is not, so that no object of the deployment is touched
_DAY = dt.date(2026, 11, 1)
LANDED = keys.landing_chunk(keys.landing(_FEED), _DAY, 7)
BRONZE = keys.bronze_part(keys.bronze_folder(_FEED, _DAY, 7, "ab"), 0)
STATE = keys.in_attempt(keys.attempt_folder(_FEED, 3, 1), "manifest.json")
LAKE = keys.delta_first_commit(keys.lake_table(_FEED, "facts"))
ERROR = keys.in_error(keys.error_folder(_FEED, _DAY, LANDED, 7), "report.json")
JOURNAL = keys.journal_newest(_FEED)
DETECTIONS = f"detections/{_FEED}/dt=2026-11-01/detections_00000001-00000050.csv"
ARCHIVED = f"archive/{_FEED}/dt=2026-11-01/chunk_7.csv.7"
ELSEWHERE = "elsewhere/a"


class Case(NamedTuple):
    """One request of one role. Of a list, the key is the prefix."""

    role: str
    action: str
    key: str
    allowed: bool


CASES = tuple(
    Case(*case)
    for case in (
        ("producer", PUT, LANDED, True),
        ("producer", GET, LANDED, True),  # it looks at what it finds landed already
        ("producer", LIST, keys.landing(_FEED), True),
        ("producer", DELETE, LANDED, False),
        ("producer", GET, BRONZE, False),
        ("producer", GET, STATE, False),
        ("producer", PUT, STATE, False),
        ("producer", LIST, keys.lake_table(_FEED, "facts"), False),
        ("producer", LIST, "", False),
        ("ingest", GET, LANDED, True),
        ("ingest", PUT, LANDED, False),  # what producers wrote is never edited
        ("ingest", DELETE, LANDED, True),  # a refused file is moved
        ("ingest", PUT, BRONZE, True),
        ("ingest", PUT, STATE, True),
        ("ingest", PUT, ERROR, True),
        ("ingest", PUT, JOURNAL, True),
        ("ingest", DELETE, JOURNAL, False),  # what a lost ledger is brought back from
        ("ingest", PUT, DETECTIONS, True),
        ("ingest", DELETE, DETECTIONS, False),
        ("ingest", DELETE, ARCHIVED, False),
        ("ingest", PUT, ELSEWHERE, False),
        ("ingest", LIST, "", True),
        ("spark", GET, BRONZE, True),
        ("spark", PUT, STATE, True),
        ("spark", PUT, LAKE, True),
        ("spark", DELETE, LAKE, True),
        ("spark", LIST, keys.lake_table(_FEED, "facts"), True),
        ("spark", PUT, LANDED, False),
        ("spark", GET, LANDED, False),
        ("spark", DELETE, LANDED, False),
        ("spark", LIST, keys.landing(_FEED), False),
        ("spark", PUT, BRONZE, False),
        ("spark", DELETE, BRONZE, False),
        ("spark", PUT, ERROR, False),
        ("spark", PUT, JOURNAL, False),
        ("spark", PUT, DETECTIONS, False),
        ("reader", GET, LAKE, True),
        ("reader", GET, ERROR, True),
        ("reader", GET, DETECTIONS, True),
        ("reader", LIST, f"detections/{_FEED}/", True),
        ("reader", GET, STATE, False),
        ("reader", GET, LANDED, False),
        ("reader", LIST, keys.landing(_FEED), False),
        *(("reader", action, key, False) for action in (PUT, DELETE) for key in (LANDED, BRONZE, STATE, LAKE, ERROR, JOURNAL, DETECTIONS)),
    )
)
REFUSED = "AccessDenied"


def make(deployment: Deployment) -> str:
    """A user for each policy, its keys among the secrets, and from now on the deployment works with them."""
    output = deployment.output(*_with_secrets(deployment, "rw"), "python", "-m", "sluice.deployment.s3_users", "/opt/airflow/iam", "/made")
    deployment.change(**{f"S3_{role.upper()}_USER": f"s3_{role}" for role in ROLES if role != "reader"})
    deployment.make_secrets()
    return output.strip().splitlines()[-1]


def run(deployment: Deployment) -> dict[str, int]:
    """Ask all of it; how many requests were allowed and refused, as they must be."""
    program = Path(s3_requests.__file__).read_text()
    cases = json.dumps([(case.role, case.action, case.key) for case in CASES])
    output = deployment.output(*_with_secrets(deployment, "ro"), "python", "-c", program, "/made", cases)
    return evaluated(*json.loads(output.strip().splitlines()[-1]))


def evaluated(answers: Sequence[str], of_the_bucket: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many requests were allowed and how many refused.

    Raises:
        AssertionError: one was answered otherwise than it must be.
    """
    wrong = [f"{case}: {answer}" for case, answer in zip(CASES, answers, strict=True) if answer != ("done" if case.allowed else REFUSED)]
    assert not wrong, wrong
    assert set(of_the_bucket) == set(ROLES), of_the_bucket
    assert {answer for answered in of_the_bucket.values() for answer in answered} == {REFUSED}, of_the_bucket
    refused = sum(not case.allowed for case in CASES) + sum(len(answered) for answered in of_the_bucket.values())
    return {"allowed": sum(case.allowed for case in CASES), "refused": refused}


def _with_secrets(deployment: Deployment, mode: str) -> list[str]:
    """A container of the image that may look into the folder of the secrets: as its owner, with the root user's keys."""
    owner = deployment.secrets.stat().st_uid
    return ["run", "--rm", "--no-TTY", "--user", str(owner), "--volume", f"{deployment.secrets}:/made:{mode}", "init"]
