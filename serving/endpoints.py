"""The server's side doors: health, models, metrics page, cache reset, tokens of a prompt, resolved config.

One small HTTP client with short timeouts; the load itself never goes through here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from accounting.errors import ServerError


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """A /metrics page as text and the instants (monotonic seconds) between which the server wrote it."""

    text: str
    asked_at_s: float
    received_at_s: float


class ServerEndpoints:
    """Everything but load that is asked of a server at `base_url`."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = 10.0,
        api_key: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        # trust_env=False: a proxy variable must never stand between us and a server on this box.
        self._http = httpx.Client(base_url=base_url, timeout=timeout_s, headers=headers, trust_env=False)
        self._clock = clock
        self.base_url = base_url

    def __enter__(self) -> Self:
        """Use as a context manager to close the connections."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def is_healthy(self) -> bool:
        """Whether /health answers 200. Never raises for a server that is not there (yet)."""
        try:
            return self._http.get("/health").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def metrics_page(self) -> MetricsPage:
        """Fetch /metrics with the instants of asking and receiving."""
        asked = self._clock()
        response = self._request("GET", "/metrics")
        return MetricsPage(response.text, asked, self._clock())

    def model_names(self) -> list[str]:
        """Names under which models are served.

        Raises:
            ServerError: if the list is not there or is not of the expected form.
        """
        body = self._json("GET", "/v1/models")
        try:
            return [str(entry["id"]) for entry in body["data"]]
        except (KeyError, TypeError) as error:
            raise ServerError(
                f"{self.base_url}/v1/models answered something else than a list of models: {str(body)[:120]}"
            ) from error

    def version(self) -> str | None:
        """vLLM's version, None where the server does not say."""
        try:
            return str(self._json("GET", "/version")["version"])
        except (ServerError, KeyError):
            return None

    def speaks_vllm(self) -> bool:
        """Whether this is vLLM: by the owner it states of its models, else by its metrics."""
        try:
            entries = self._json("GET", "/v1/models")["data"]
            if any(entry.get("owned_by") == "vllm" for entry in entries):
                return True
            return "vllm:" in self._request("GET", "/metrics").text
        except (ServerError, KeyError, TypeError, AttributeError):
            return False

    def server_info(self) -> dict[str, Any] | None:
        """The configuration as the engine resolved it (dev mode only), None where it is not offered."""
        try:
            return self._json("GET", "/server_info?config_format=json")
        except ServerError:
            return None

    def token_ids(self, asked: Mapping[str, Any]) -> list[int] | None:
        """The tokens that the server makes of `prompt`, or of `messages` by its chat template; None where it does not say."""
        try:
            tokens = self._json("POST", "/tokenize", json=asked).get("tokens")
        except ServerError:
            return None
        fits = isinstance(tokens, list) and all(isinstance(token, int) for token in tokens)
        return tokens if fits else None

    def complete(self, prompt: str, *, model: str, tokens: int, timeout_s: float) -> None:
        """Have vLLM go on with a text greedily, by exactly so many tokens.

        Raises:
            ServerError: if it does not.
        """
        body = {"model": model, "prompt": prompt, "max_tokens": tokens, "ignore_eos": True, "temperature": 0}
        self._json("POST", "/v1/completions", json=body, timeout=timeout_s)

    def reset_prefix_cache(self, *, attempts: int = 5, pause_s: float = 0.2) -> bool:
        """Reset the prefix cache and believe only `success: true` in the body: a 200 proves nothing."""
        for attempt in range(attempts):
            if attempt:
                time.sleep(pause_s)
            try:
                if self._json("POST", "/reset_prefix_cache").get("success") is True:
                    return True
            except ServerError:
                return False
        return False

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise ServerError(f"{method} {self.base_url}{path} failed: {error}") from error
        if response.status_code != httpx.codes.OK:
            raise ServerError(
                f"{method} {self.base_url}{path} answered {response.status_code}: {response.text[:300]}"
            )
        return response

    def _json(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        response = self._request(method, path, **more)
        try:
            body = response.json()
        except ValueError as error:
            raise ServerError(f"{method} {path} answered something that is not JSON") from error
        if not isinstance(body, dict):
            raise ServerError(f"{method} {path} answered {type(body).__name__}, an object was expected")
        return body
