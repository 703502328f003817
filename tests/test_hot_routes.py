"""The short way to the hot routes gives what the framework's long way gives, to the byte and to the header."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient
from service_town import FAR_AWAY, NOW, STOP, states

from geomatch.matcher import Matcher
from geomatch.quantities import format_time
from geomatch.region import Region
from geomatch.service.app import create_app
from geomatch.service.hot import PATHS, HotRoutes

pytest_plugins = ("service_town",)

JSON = {"content-type": "application/json"}
FIX = {"unit": "u1", "time": format_time(NOW - 1), "at": STOP["at"]}
RANKINGS = [
    ({"stop": STOP}, JSON),
    ({"stop": STOP, "k": 1, "include": ["route", "excluded", "beyond_k"]}, JSON),
    ({"stop_id": "nobody opened it"}, JSON),
    ({"stop": {**STOP, "at": FAR_AWAY}}, JSON),
    ({"stop": STOP, "k": 0}, JSON),
    ({"stop": STOP}, {"content-type": "text/plain"}),
    ("no JSON", JSON),
]
FIXES = [
    ({"fixes": [FIX, {**FIX, "unit": "u9"}, {**FIX, "time": format_time(NOW + 3600)}]}, JSON),
    ({"fixes": [FIX, {"unit": "u1"}]}, JSON),
    ({"fixes": []}, {**JSON, "content-length": "999999999999"}),
    ({"fixes": [FIX]}, {}),
    ("[" * 5_000, JSON),
]
ASKED = [("/v1/rankings", *one) for one in RANKINGS] + [("/v1/fixes", *one) for one in FIXES]


def app_over(folder, *, hot: bool):
    # A region as fresh each time: how far was looked, which an answer tells, hangs on what was asked of it before.
    held = Matcher(Region.open(folder))
    held.replace_fleet(states(), source="test", source_seq=1)
    app = create_app(held, clock=lambda: NOW)
    layers = [one for one in app.user_middleware if one.cls is HotRoutes]
    assert {path for _, path in layers[0].kwargs["endpoints"]} == PATHS
    if not hot:
        app.user_middleware.remove(layers[0])
    return TestClient(app)


@pytest.mark.parametrize(("path", "body", "headers"), ASKED)
def test_both_ways_give_the_same(town_folder, path, body, headers):
    content = body if isinstance(body, str) else json.dumps(body)
    short, long = (app_over(town_folder, hot=hot).post(path, content=content, headers=headers) for hot in (True, False))
    assert (short.status_code, short.content, short.headers) == (long.status_code, long.content, long.headers)
    assert short.status_code < 500


def test_a_hot_path_with_another_method_is_the_framework_s_to_refuse(town_folder):
    for path in PATHS:
        assert app_over(town_folder, hot=True).get(path).status_code == 405
