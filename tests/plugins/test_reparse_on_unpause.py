"""What changes DAGs has their files read next, and nothing else does; whatever becomes of that, the answer is the API's own."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from plugins.sluice_reparse_on_unpause import ReparseOnUnpause

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

ONE = {"dag_id": "a", "is_paused": False, "file_token": "t1"}
SEVERAL = {"dags": [ONE, {"dag_id": "b", "file_token": "t1"}, {"dag_id": "c", "file_token": "t2"}], "total_entries": 3}


class Api:
    """As much of an ASGI application as the plugin is in front of: it answers each request as it was told, and remembers it."""

    def __init__(self, status: int, body: object, parse_status: int | Exception = 201) -> None:
        self._status, self._body, self._parse_status = status, body, parse_status
        self.asked: list[tuple[str, str, dict[bytes, bytes]]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        self.asked.append((scope["method"], scope["path"], dict(scope["headers"])))
        status, body = self._status, json.dumps(self._body).encode()
        if scope["method"] == "PUT":
            if isinstance(self._parse_status, Exception):
                raise self._parse_status
            status, body = self._parse_status, b""
        scope["path"] = "changed while it was routed"
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body[:10], "more_body": True})
        await send({"type": "http.response.body", "body": body[10:], "more_body": False})


def request(api: Api, method: str, path: str) -> tuple[int, Any]:
    """What the one who asked gets."""
    headers = [
        (b"authorization", b"Bearer x"),
        (b"cookie", b"_token=y"),
        (b"content-length", b"19"),
        (b"content-type", b"application/json"),
    ]
    got: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b'{"is_paused": false}', "more_body": False}

    async def send(message: Message) -> None:
        got.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"a=b", "headers": headers}
    asyncio.run(ReparseOnUnpause(api)(scope, receive, send))
    return got[0]["status"], json.loads(b"".join(message["body"] for message in got[1:]))


@pytest.mark.parametrize(
    ("method", "path", "status", "body", "parsed"),
    [
        ("PATCH", "/api/v2/dags/a", 200, ONE, ["/api/v2/parseDagFile/t1"]),
        ("PATCH", "/airflow/api/v2/dags/a", 200, ONE, ["/airflow/api/v2/parseDagFile/t1"]),
        ("PATCH", "/api/v2/dags", 200, SEVERAL, ["/api/v2/parseDagFile/t1", "/api/v2/parseDagFile/t2"]),
        ("PATCH", "/api/v2/dags/a", 403, {"detail": "no"}, []),
        ("GET", "/api/v2/dags/a", 200, ONE, []),
        ("PATCH", "/api/v2/dags/a/dagRuns/r", 200, {"dag_run_id": "r"}, []),
        ("PATCH", "/api/v2/pools/p", 200, {"name": "p"}, []),
    ],
)
def test_a_changed_dags_file_is_asked_for_by_whoever_changed_it(method: str, path: str, status: int, body: Any, parsed: list[str]) -> None:
    api = Api(status, body)
    assert request(api, method, path) == (status, body)
    assert [one[:2] for one in api.asked] == [(method, path), *(("PUT", one) for one in parsed)]
    for _, _, headers in api.asked[1:]:
        assert headers == {b"authorization": b"Bearer x", b"cookie": b"_token=y"}


@pytest.mark.parametrize(("outcome", "said"), [(201, ""), (409, ""), (404, "answered 404"), (OSError("broken"), "could not be asked for")])
def test_what_becomes_of_it_is_a_line_of_the_log_where_it_had_no_effect(
    outcome: int | Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert request(Api(200, ONE, outcome), "PATCH", "/api/v2/dags/a") == (200, ONE)
    assert bool(caplog.messages) is bool(said)
    assert said in "".join(caplog.messages)
