"""What is counted for operators, as Prometheus reads it at /metrics: never a unit, a position or an address."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeHistogramMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import Message, Send

from geomatch.feeds.tally import Counts as FeedTally
from geomatch.model import Degraded, FixResult, Ranking, Rung
from geomatch.quantities import UnixTime
from geomatch.service.journaling import lines_waiting

if TYPE_CHECKING:
    from geomatch.matcher import Matcher
    from geomatch.service.conditions import Conditions

FeedCounts: TypeAlias = tuple[str, FeedTally]
"""The name of a feed, and what became of its messages."""
MEDIA_TYPE = CONTENT_TYPE_LATEST
LATENCY_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
AGE_S = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
AT_ONE_STOP = frozenset({Rung.stop_off_map, Rung.map_cut})
"""Rungs that only a ranking shows."""
NO_REASONS = frozenset({"units", "candidates", "beyond_k"})
"""Counts of a ranking that are no reason for leaving a unit out."""


class Metrics:
    """One registry for each application. A request costs about 5 us, a ranking 1 us a reason."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._latency = Histogram(
            "geomatch_request_seconds", "From the request to the first byte of its answer", ["operation"],
            buckets=LATENCY_S, registry=self._registry,
        )  # fmt: skip
        self._answers = Counter(
            "geomatch_requests", "Answered, by status", ["operation", "status"], registry=self._registry
        )
        self._fixes: dict[tuple[str, str], int] = {}
        self._counting = Lock()
        self._excluded = Counter(
            "geomatch_excluded_units", "Units that a ranking left out, by reason", ["reason"], registry=self._registry
        )
        # Looked up once: labels() takes a lock and a tuple each time.
        self._observers: dict[str, Callable[[float], None]] = {}
        self._reasons: dict[str, Callable[[float], None]] = {}
        self._answered: dict[tuple[str, int], Callable[[], None]] = {}

    def timed(self, operation: str, send: Send) -> Send:
        """`send`, that notes when an answer begins and with which status."""
        begun = perf_counter()

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.answered(operation, message["status"], perf_counter() - begun)
            await send(message)

        return noting

    def answered(self, operation: str, status: int, seconds: float) -> None:
        observe = self._observers.get(operation)
        if observe is None:
            observe = self._observers[operation] = self._latency.labels(operation).observe
        count = self._answered.get((operation, status))
        if count is None:
            count = self._answered[operation, status] = self._answers.labels(operation, str(status)).inc
        observe(seconds)
        count()

    def ranked(self, ranking: Ranking) -> None:
        for reason, times in ranking.counts.items():
            if times and reason not in NO_REASONS:
                count = self._reasons.get(reason)
                if count is None:
                    count = self._reasons[reason] = self._excluded.labels(reason).inc
                count(times)

    def fixed(self, results: Iterable[FixResult], *, feed: str) -> None:
        """`feed` is one of the service's own words, since each makes a new series."""
        counts = Counts(result.outcome.value for result in results)
        with self._counting:
            for outcome, times in counts.items():
                self._fixes[feed, outcome] = self._fixes.get((feed, outcome), 0) + times

    def watch(
        self,
        matcher: Matcher,
        feeds: Callable[[], Iterable[FeedCounts]],
        conditions: Conditions,
        *,
        clock: Callable[[], UnixTime],
    ) -> None:
        """What is known of fleet and feeds is looked up when somebody scrapes, and costs nothing between."""
        self._registry.register(_Live(matcher, feeds, conditions, clock, self._fixes))

    def text(self) -> bytes:
        return generate_latest(self._registry)


def router(metrics: Metrics) -> APIRouter:
    """What a scraper asks for; in no document of the API."""
    routes = APIRouter()

    @routes.get("/metrics", include_in_schema=False)
    def get_metrics() -> Response:
        return Response(metrics.text(), media_type=MEDIA_TYPE)

    return routes


class _Live(Collector):
    def __init__(
        self,
        matcher: Matcher,
        feeds: Callable[[], Iterable[FeedCounts]],
        conditions: Conditions,
        clock: Callable[[], UnixTime],
        fixes: Mapping[tuple[str, str], int],
    ) -> None:
        self._matcher, self._feeds, self._clock, self._fixes = matcher, feeds, clock, fixes
        self._conditions = conditions

    def describe(self) -> Iterable[Metric]:
        """Nothing: else registering it would ask the matcher already."""
        return ()

    def collect(self) -> Iterable[Metric]:
        view = self._matcher.fleet.view()
        yield GaugeMetricFamily("geomatch_units", "Units that are held", value=len(view))
        yield _ages(self._clock() - view.fix_time)
        yield GaugeMetricFamily("geomatch_epoch", "Changes of live roads so far", value=self._matcher.epoch)
        lag = self._matcher.epoch_lag
        yield GaugeMetricFamily("geomatch_epoch_lag", "Of these, those the hierarchy has still to follow", value=lag)
        yield GaugeMetricFamily(
            "geomatch_open_stops", "Stops that are open", value=len(self._matcher.stops.view().stops)
        )
        yield from _of_feeds(self._feeds(), self._fixes)
        pressure = self._conditions.pressure
        yield GaugeMetricFamily("geomatch_behind_seconds", "So late answers are begun", value=pressure.behind_s)
        yield GaugeMetricFamily("geomatch_requests_waiting", "For a thread", value=pressure.waiting)
        waiting = lines_waiting(self._matcher)
        if waiting is not None:
            yield GaugeMetricFamily("geomatch_journal_waiting", "Lines that are not in the store yet", value=waiting)
        yield _rungs((*self._matcher.degraded(now=self._clock()), *self._conditions.now()))


def _rungs(found: Iterable[Degraded]) -> Metric:
    """Each code, also where all is as it should be, so that an alarm can be set on it."""
    times = Counts(one.code for one in found)
    rungs = GaugeMetricFamily("geomatch_degraded", "Of how many it holds now, as /readyz says", labels=["code"])
    for code in Rung:
        if code not in AT_ONE_STOP:
            rungs.add_metric([code.value], times[code])
    return rungs


def _ages(age_s: Any) -> Metric:
    """Of the newest fix of each unit; one that was never heard of is in no bucket but +Inf."""
    ages = GaugeHistogramMetricFamily("geomatch_fix_age_seconds", "Age of each unit's newest fix")
    known = np.where(np.isfinite(age_s), age_s, np.inf)
    buckets = [(f"{bound:g}", float(np.count_nonzero(known <= bound))) for bound in AGE_S]
    total = float(known[np.isfinite(known)].sum())
    ages.add_metric([], buckets=[*buckets, ("+Inf", float(len(known)))], gsum_value=total)
    return ages


def _of_feeds(states: Iterable[FeedCounts], told: Mapping[tuple[str, str], int]) -> Iterable[Metric]:
    fixes = CounterMetricFamily(
        "geomatch_fixes", "AVL fixes, by where they came in and what became of them", labels=["feed", "outcome"]
    )
    for labels, times in list(told.items()):
        fixes.add_metric(labels, times)
    queued = GaugeMetricFamily("geomatch_feed_queue", "Messages of a feed that wait to be read", labels=["feed"])
    messages = CounterMetricFamily(
        "geomatch_feed_messages", "What became of a feed's messages", labels=["feed", "fate"]
    )
    for name, counts in states:
        queued.add_metric([name], counts.queued)
        for fate in ("received", "read", "dropped", "ignored", "failed", "reconnects", "emergencies"):
            messages.add_metric([name, fate], getattr(counts, fate))
        for kind, times in counts.faults.items():
            messages.add_metric([name, f"fault_{kind}"], times)
        for outcome, times in counts.fixes.items():
            fixes.add_metric([name, outcome], times)
    return fixes, queued, messages
