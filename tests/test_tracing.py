"""Spans tell which operation, how it ended, how long it took; no unit, no place; without a collector there are none."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from doors import Service, ask, full_matcher
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from service_town import NOW, STOP

from geomatch.errors import BadInput
from geomatch.service.app import create_app
from geomatch.service.tracing import ENDPOINTS, PROTOCOLS, from_environment

pytest_plugins = ("service_town",)
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = [(b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())]


@pytest.fixture
def kept() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(kept) -> TracerProvider:
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(kept))
    return made


def only(kept):
    (span,) = kept.get_finished_spans()
    kept.clear()
    return span


def test_a_span_has_the_name_of_its_operation_and_belongs_to_the_callers_trace(town, kept, provider):
    app = create_app(full_matcher(town), clock=lambda: NOW, traces=provider)
    assert ask(app, "POST", "/v1/rankings", {"stop": STOP}, headers=TRACEPARENT).status == 200
    span = only(kept)
    assert (span.name, span.kind) == ("POST /v1/rankings", SpanKind.SERVER)
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert dict(span.attributes) == {
        "http.request.method": "POST", "http.route": "/v1/rankings", "http.response.status_code": 200,
        "url.scheme": "http",
    }  # fmt: skip


def test_nothing_of_what_was_asked_is_in_a_span(town, tmp_path, kept, provider):
    service = Service(full_matcher(town), tmp_path, traces=provider)
    key = service.key("cad", agencies=("*",))
    for method, path, body in (
        ("GET", "/v1/units/own", None),
        ("GET", "/v1/collections/units/items?bbox=-97.75,30.27,-97.74,30.28", None),
        ("POST", "/v1/rankings", {"stop": STOP | {"at": {"lon": 2.35, "lat": 48.85}}}),
        ("GET", "/v1/no/such/own", None),
    ):
        service.ask(method, path, body, key=key, headers=[(b"baggage", b"unit=own"), (b"tracestate", b"x=1")])
        span = only(kept)
        told = f"{span.name} {dict(span.attributes)} {span.events} {span.status.description} {span.resource.to_json()}"
        for hidden in ("own", "97.7", "30.2", "48.85", "bbox", key):
            assert hidden not in told.replace("unknown_service", "")
    assert service.ask("GET", "/v1/units").status == 401
    assert only(kept).attributes["http.response.status_code"] == 401


def test_a_fault_of_the_service_is_an_error_and_its_words_stay_here(town, kept, provider):
    app = create_app(full_matcher(town), clock=lambda: NOW, traces=provider)

    @app.get("/v1/broken")
    def broken() -> None:
        raise RuntimeError("at -97.7403")

    with pytest.raises(RuntimeError):
        ask(app, "GET", "/v1/broken")
    span = only(kept)
    assert (span.name, span.status.status_code) == ("other", StatusCode.ERROR)
    assert "97" not in str(dict(span.attributes))
    assert span.events == ()


class Collector(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, dict(self.headers), raw))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def collector():
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        server.got = []
        running = threading.Thread(target=server.serve_forever, daemon=True)
        running.start()
        yield server
        server.shutdown()
        running.join()


def test_a_collector_named_in_the_environment_gets_the_spans(town, collector, monkeypatch):
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=north", "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_SERVICE_NAME": "geomatch-north",
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    traces = from_environment(environment)
    app = create_app(full_matcher(town), clock=lambda: NOW, traces=traces)
    ask(app, "GET", "/v1/units/own")
    traces.shutdown()
    ((path, headers, raw),) = collector.got
    assert (path, headers["x-tenant"]) == ("/v1/traces", "north")
    sent = ExportTraceServiceRequest.FromString(raw)
    (of_service,) = sent.resource_spans
    resource = {one.key: one.value.string_value for one in of_service.resource.attributes}
    assert resource["service.name"] == "geomatch-north"
    assert [span.name for one in of_service.scope_spans for span in one.spans] == ["GET /v1/units/{unit_id:path}"]
    assert b"own" not in raw


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({ENDPOINTS[1]: "127.0.0.1:4318"}, "must be the URL of a collector"),
        ({ENDPOINTS[0]: "http://127.0.0.1:4318", PROTOCOLS[1]: "grpc"}, "must be http/protobuf"),
    ],
)
def test_an_environment_that_cannot_be_meant_is_refused(environment, told):
    with pytest.raises(BadInput, match=told):
        from_environment(environment)


def test_without_the_exporter_the_cure_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(BadInput, match=r"geomatch-dispatch\[otel\]"):
        from_environment({ENDPOINTS[1]: "http://127.0.0.1:4318"})


def test_it_is_off_unless_it_is_asked_for():
    for environment in ({}, {ENDPOINTS[1]: ""}, {ENDPOINTS[1]: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}):
        assert from_environment(environment) is None


def test_off_it_loads_nothing_and_no_providers_of_others_begin_to_trace(town_folder):
    code = f"""
import json, sys
from geomatch import Matcher, Region
from geomatch.service.app import create_app
from geomatch.service.tracing import from_environment
app = create_app(Matcher(Region.open({str(town_folder)!r})), traces=from_environment({{}}))
loaded = [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
print(json.dumps([loaded, app._native_telemetry.enabled()]))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(told) == [[], False]
