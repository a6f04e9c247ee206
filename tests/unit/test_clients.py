"""What the clients say to a store, whatever it is."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from include.clients import s3_client
from include.settings import S3Settings

BODY = b"0123456789"
MD5 = "eB5eJF1ptWaXm4bijSPyxw=="


@pytest.mark.parametrize("endpoint", ["http://store:9000", "https://store:9000", None])
def test_every_upload_is_signed_with_its_content_so_that_half_of_it_is_never_an_object(endpoint: str | None) -> None:
    sent: list[bytes | str] = []

    def answer(request: Any, **_: Any) -> AWSResponse:
        sent.append(request.headers["x-amz-content-sha256"])
        return AWSResponse(request.url, 200, {"ETag": '"e"'}, Nothing())

    client = s3_client(S3Settings("b", endpoint, "key", "secret"))
    client.meta.events.register("before-send.s3", answer)
    client.put_object(Bucket="b", Key="k", Body=BODY)
    client.put_object(Bucket="b", Key="k", Body=io.BytesIO(BODY), ContentMD5=MD5)
    client.upload_part(Bucket="b", Key="k", UploadId="u", PartNumber=1, Body=io.BytesIO(BODY), ContentMD5=MD5)
    assert [one.decode() if isinstance(one, bytes) else one for one in sent] == [hashlib.sha256(BODY).hexdigest()] * 3


class Nothing(io.BytesIO):
    """An empty body, as urllib3 gives it."""

    def stream(self, **_: Any) -> Any:
        return iter(())
