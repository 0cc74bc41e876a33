"""How vLLM says no: the error bodies and which status goes with them."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

import msgspec

from serving.fake_server.refusal_faults import RedirectFault, StatusFault

_TYPES = {
    400: "BadRequestError",
    404: "NotFoundError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}


class RequestRefusedError(Exception):
    """A request that gets an error instead of an answer: status, JSON body and extra headers."""

    def __init__(
        self, status: int, body: Mapping[str, object], headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body
        self.headers = headers


def error_body(message: str, status: int, *, kind: str = "", param: str | None = None) -> dict[str, object]:
    """The OpenAI error form as vLLM writes it; `kind` defaults to vLLM's name for the status."""
    named = kind or _TYPES.get(status) or HTTPStatus(status).phrase
    return {"error": {"message": message, "type": named, "param": param, "code": status}}


def refused(message: str, status: int, *, kind: str = "", param: str | None = None) -> RequestRefusedError:
    """A refusal in the OpenAI error form."""
    return RequestRefusedError(status, error_body(message, status, kind=kind, param=param))


def unknown_model(asked: str, served: str) -> RequestRefusedError:
    """404 for a model name that is not served."""
    return refused(
        f"The model `{asked}` does not exist. Valid aliases: {served}.",
        404,
        param="model",
    )


def unauthorized() -> RequestRefusedError:
    """401 for a missing or wrong key; vLLM's body has no OpenAI form here."""
    return RequestRefusedError(401, {"error": "Unauthorized"})


class ScriptedAnswerError(Exception):
    """A scripted answer in place of the real one: status, body as it goes over the wire, type, headers."""

    def __init__(
        self, status: int, body: bytes, content_type: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers


def scripted_status(fault: StatusFault, now_s: float) -> ScriptedAnswerError:
    """The answer that a `status` fault asks for; `now_s` is in seconds since the epoch."""
    status = fault.status
    headers: tuple[tuple[str, str], ...] = ()
    if fault.retry_after_s is not None:
        as_date = fault.retry_after_as == "date"
        until = (
            formatdate(now_s + fault.retry_after_s, usegmt=True) if as_date else f"{fault.retry_after_s:g}"
        )
        headers = (("retry-after", until),)
    message = (
        {"error": "Unauthorized"} if status == 401 else error_body(f"scripted fault: HTTP {status}", status)
    )
    body, content_type = msgspec.json.encode(message), "application/json"
    if fault.body == "html":
        body, content_type = _proxy_page(status), "text/html"
    elif fault.body == "gzip":
        body, headers = gzip.compress(body, mtime=0), (*headers, ("content-encoding", "gzip"))
    elif fault.body == "empty":
        body, content_type = b"", ""
    return ScriptedAnswerError(status, body, content_type, headers)


def scripted_redirect(fault: RedirectFault, path: str) -> ScriptedAnswerError:
    """The answer that a `redirect` fault asks for, to a request for `path`."""
    origin_only = "://" in fault.to and "/" not in fault.to.partition("://")[2]
    location = fault.to + path if origin_only or not fault.to else fault.to
    return ScriptedAnswerError(
        fault.status, _proxy_page(fault.status), "text/html", (("location", location),)
    )


def _proxy_page(status: int) -> bytes:
    """What nginx shows a browser."""
    title = f"{status} {HTTPStatus(status).phrase}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    ).encode()
