"""Reads a DAG's file again as soon as somebody unpauses or pauses the DAG, so that its watchers start or stop with it.

Airflow decides who watches when it reads a DAG's file, not when a DAG is unpaused: up to `[dag_processor] min_file_process_interval` later.
Until then only the clock would take what lands. Here the api-server asks for the file itself, with the rights of whoever changed the DAG;
nothing is done while nobody changes one.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_A_DAG_OR_SEVERAL = re.compile(r"(?P<api>.*/api/v2)/dags(/[^/]+)?")
_OF_THE_BODY = {b"content-length", b"content-type", b"transfer-encoding"}
_ACCEPTED = {HTTPStatus.CREATED, HTTPStatus.CONFLICT}  # a conflict: it is to be read again already
log = logging.getLogger(__name__)


class ReparseOnUnpause:
    """Middleware: what changes DAGs through the REST API or the UI has their files parsed next."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        changed = _A_DAG_OR_SEVERAL.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "PATCH" else None
        if changed is None:
            await self._app(scope, receive, send)
            return
        as_it_came = dict(scope)  # what routes it writes into it
        status, body = 0, bytearray()

        async def answered(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            body.extend(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, answered)
        if status == HTTPStatus.OK:
            for token in file_tokens(bytes(body)):
                await self._parse(as_it_came, f"{changed['api']}/parseDagFile/{token}")

    async def _parse(self, scope: Scope, path: str) -> None:
        """A request of the same person to the same API; without an effect it costs a wait, so it fails nothing."""
        headers = [(name, value) for name, value in scope["headers"] if name not in _OF_THE_BODY]
        parse_scope = {**scope, "method": "PUT", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers}
        status = 0

        async def no_body() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def answered(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)

        try:
            await self._app(parse_scope, no_body, answered)
        except Exception:
            log.warning("a DAG was changed, and its file could not be asked for: its watchers follow when it is read next", exc_info=True)
        else:
            if status not in _ACCEPTED:
                log.warning("a DAG was changed, and asking for its file answered %s: its watchers follow when it is read next", status)


def file_tokens(body: bytes) -> Iterator[str]:
    """The files of the DAGs that an answer of the API tells of, each once.

    >>> list(file_tokens(b'{"dag_id": "a", "file_token": "t"}'))
    ['t']
    >>> list(file_tokens(b'{"dags": [{"file_token": "t"}, {"file_token": "u"}, {"file_token": "t"}], "total_entries": 3}'))
    ['t', 'u']
    """
    answer: dict[str, Any] = json.loads(body)
    yield from dict.fromkeys(dag["file_token"] for dag in answer.get("dags", [answer]))


class SluiceReparseOnUnpause(AirflowPlugin):
    """What Airflow loads."""

    name = "sluice_reparse_on_unpause"
    fastapi_root_middlewares = [{"name": name, "middleware": ReparseOnUnpause}]  # noqa: RUF012 (so Airflow asks for it)
