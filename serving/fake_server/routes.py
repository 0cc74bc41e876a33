"""Which path does what, after the key and the request's faults have had their say."""

from __future__ import annotations

import hmac
import random
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qs

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry

from serving.fake_server import server_facts
from serving.fake_server.answering import send_whole_answer, stream_answer
from serving.fake_server.config import FakeServerConfig
from serving.fake_server.engine import Engine
from serving.fake_server.event_shapes import AnswerShapes
from serving.fake_server.fault_actions import (
    ExitProcess,
    act_before_answer,
    act_on_plain_answer,
    changed_request,
    extra_usage_tokens,
)
from serving.fake_server.faults import AnyFault, FaultDraw
from serving.fake_server.http_wire import HttpConnection, HttpRequest
from serving.fake_server.metrics_page import MetricsPage
from serving.fake_server.refusal_faults import MetricsMissingFault, NotReadyFault, ResetLiesFault
from serving.fake_server.refusals import RequestRefusedError, ScriptedAnswerError, refused, unauthorized
from serving.fake_server.request_body import read_chat_request, read_text_request, read_tokenize_request
from serving.fake_server.wire_manner import wire_manner

_GUARDED = "/v1"
_Faults = Sequence[AnyFault]
_Handler = Callable[[HttpRequest, HttpConnection, _Faults], Awaitable[None]]


class Routes:
    """Answers requests for one server."""

    def __init__(
        self, config: FakeServerConfig, *, clock: Callable[[], float], wall_clock: Callable[[], float],
        exit_process: ExitProcess,
    ) -> None:  # fmt: skip
        """`clock` gives monotonic seconds, `wall_clock` seconds since the epoch."""
        self._config = config
        self._clock = clock
        self._wall_clock = wall_clock
        self._exit_process = exit_process
        self._started_s = clock()
        page = MetricsPage(CollectorRegistry(), config, wall_clock())
        self._engine = Engine(config, page, clock)
        self._faults = FaultDraw(config.faults, config.seed)
        self._ids = random.Random(f"ids {config.seed}")
        self._generating: dict[str, _Handler] = {
            "/v1/chat/completions": self._generate,
            "/v1/completions": self._generate,
        }
        self._plain: dict[tuple[str, str], _Handler] = {
            ("GET", "/health"): self._health,
            ("GET", "/ping"): self._health,
            ("POST", "/ping"): self._health,
            ("GET", "/v1/models"): self._models,
            ("GET", "/version"): self._version,
            ("POST", "/tokenize"): self._tokenize,
            ("GET", "/metrics"): self._metrics,
            ("GET", "/server_info"): self._server_info,
            ("POST", "/reset_prefix_cache"): self._reset_prefix_cache,
            ("POST", "/reset_mm_cache"): self._nothing,
            ("POST", "/reset_encoder_cache"): self._nothing,
        }

    async def answer(self, request: HttpRequest, conn: HttpConnection) -> None:
        """Answer one request on its connection."""
        faults = self._faults.next_faults(request.path)
        conn.answer_as(wire_manner(faults))
        try:
            await act_before_answer(faults, conn, request.path, self._wall_clock())
            self._check_key(request)
            generating = self._generating.get(request.path) if request.method == "POST" else None
            if generating is not None:
                await generating(request, conn, faults)
                return
            handler = self._plain_handler(request)
            await act_on_plain_answer(faults, conn, self._exit_process)
            await handler(request, conn, faults)
        except ScriptedAnswerError as scripted:
            await conn.respond(scripted.status, scripted.body, scripted.content_type, scripted.headers)
        except RequestRefusedError as refusal:
            await conn.respond_json(refusal.status, refusal.body, refusal.headers)

    def _check_key(self, request: HttpRequest) -> None:
        if self._config.api_key is None or not request.path.startswith(_GUARDED):
            return
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(key.encode(), self._config.api_key.encode()):
            raise unauthorized()

    def _plain_handler(self, request: HttpRequest) -> _Handler:
        handler = self._plain.get((request.method, request.path))
        if handler is not None:
            return handler
        if request.path in self._generating or any(path == request.path for _, path in self._plain):
            raise refused("Method Not Allowed", 405)
        raise refused("Not Found", 404, kind="Not Found")

    async def _generate(self, request: HttpRequest, conn: HttpConnection, faults: _Faults) -> None:
        chat = request.path == "/v1/chat/completions"
        read = read_chat_request if chat else read_text_request
        asked = changed_request(read(request.body, self._config.model, self._config.max_model_len), faults)
        name = request.headers.get("x-request-id") or f"{self._ids.getrandbits(128):032x}"
        shapes = AnswerShapes(
            request=asked,
            answer_id=f"{'chatcmpl' if chat else 'cmpl'}-{name}",
            created=int(self._wall_clock()),
            model=self._config.model,
            fingerprint=f"vllm-{self._config.version}-fake",
            extra_tokens=extra_usage_tokens(faults),
            seed=self._config.seed,
        )
        send = stream_answer if asked.stream else send_whole_answer
        await send(conn, self._engine, shapes, faults, self._exit_process)

    async def _health(self, _request: HttpRequest, conn: HttpConnection, faults: _Faults) -> None:
        age_s = self._clock() - self._started_s
        late = any(isinstance(fault, NotReadyFault) and age_s < fault.for_s for fault in faults)
        await conn.respond(503 if late else 200, b"", "")

    async def _models(self, _request: HttpRequest, conn: HttpConnection, _faults: _Faults) -> None:
        await conn.respond_json(200, server_facts.models(self._config, int(self._wall_clock())))

    async def _tokenize(self, request: HttpRequest, conn: HttpConnection, _faults: _Faults) -> None:
        tokens = read_tokenize_request(request.body, self._config.model)
        limit = self._config.max_model_len
        body = {"count": len(tokens), "max_model_len": limit, "tokens": tokens, "token_strs": None}
        await conn.respond_json(200, body)

    async def _version(self, _request: HttpRequest, conn: HttpConnection, _faults: _Faults) -> None:
        await conn.respond_json(200, {"version": self._config.version})

    async def _server_info(self, request: HttpRequest, conn: HttpConnection, _faults: _Faults) -> None:
        as_json = parse_qs(request.query).get("config_format") == ["json"]
        await conn.respond_json(200, server_facts.server_info(self._config, as_json=as_json))

    async def _metrics(self, _request: HttpRequest, conn: HttpConnection, faults: _Faults) -> None:
        missing = [fault for fault in faults if isinstance(fault, MetricsMissingFault)]
        if any(not fault.names for fault in missing):
            raise refused("Not Found", 404, kind="Not Found")
        names = tuple(name for fault in missing for name in fault.names)
        await conn.respond(200, self._engine.render_metrics(names), CONTENT_TYPE_LATEST)

    async def _reset_prefix_cache(self, _request: HttpRequest, conn: HttpConnection, faults: _Faults) -> None:
        lies = any(isinstance(fault, ResetLiesFault) for fault in faults)
        await conn.respond_json(200, {"success": lies or self._engine.reset_prefix_cache()})

    async def _nothing(self, _request: HttpRequest, conn: HttpConnection, _faults: _Faults) -> None:
        await conn.respond(200, b"", "")
