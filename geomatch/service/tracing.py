"""OpenTelemetry spans of requests, where the environment names a collector; else nothing is traced and nothing loaded.

Not FastAPI's own telemetry: that notes paths and queries, which name units and places. A span here says which
operation it was, how it ended and how long it took; what it was about stays in the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geomatch.errors import BadInput
from geomatch.service.operations import SOCKET, Operations

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
FASTAPI_OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""Its own would begin as soon as any library of the process sets a provider up."""


def from_environment(environment: Mapping[str, str]) -> TracerProvider | None:
    """Exports to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names, over HTTP; None: it names none.

    The SDK reads the other OTEL_ variables itself: headers, certificate, sampler, resource. Call `shutdown()` at the
    end, so that the last spans leave. Raises BadInput, also where the extra `otel` is not installed.
    """
    endpoint = next((environment[name] for name in ENDPOINTS if environment.get(name)), None)
    if endpoint is None or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if not endpoint.startswith(("http://", "https://")):
        raise BadInput(f"{ENDPOINTS[1]} must be the URL of a collector, as http://127.0.0.1:4318")
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise BadInput(f"{PROTOCOLS[1]} must be http/protobuf: spans are sent in no other way")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise BadInput(
            f"{ENDPOINTS[1]} is set and no exporter is there: pip install 'geomatch-dispatch[otel]', or unset it"
        ) from None
    name = environment.get("OTEL_SERVICE_NAME") or "geomatch"
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Traced:
    """The ASGI layer around all others: one span for each request, in the trace that its `traceparent` names."""

    def __init__(self, app: ASGIApp, *, provider: TracerProvider) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._app, self._tracer = app, provider.get_tracer("geomatch")
        self._operations, self._propagator = Operations(), TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind, StatusCode

        method = scope["method"] if scope["type"] == "http" else SOCKET
        operation = self._operations.find(method, scope["path"])
        attributes: dict[str, Any] = {"url.scheme": scope.get("scheme", "")}
        if operation is not None:
            attributes |= {"http.request.method": method, "http.route": operation.path}
        with self._tracer.start_as_current_span(
            "other" if operation is None else operation.name, context=self._propagator.extract(_parent(scope)),
            kind=SpanKind.SERVER, attributes=attributes, record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            try:
                await self._app(scope, receive, noting)
            except Exception as fault:
                span.set_attribute("error.type", type(fault).__name__)
                span.set_status(StatusCode.ERROR)
                raise


def _parent(scope: Scope) -> dict[str, str]:
    """The headers that name the trace a request belongs to; no other is looked at."""
    return {
        name.decode(): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in (b"traceparent", b"tracestate")
    }
