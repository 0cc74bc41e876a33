"""How vLLM says no: the error bodies and which status goes with them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

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


def scripted_status(status: int, retry_after_s: float | None) -> RequestRefusedError:
    """The refusal that a `status` fault asks for; Retry-After is in seconds."""
    headers = () if retry_after_s is None else (("retry-after", f"{retry_after_s:g}"),)
    if status == 401:
        return RequestRefusedError(401, {"error": "Unauthorized"}, headers)
    return RequestRefusedError(status, error_body(f"scripted fault: HTTP {status}", status), headers)
