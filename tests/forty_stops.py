"""Patrols at random, forty stops open at a time, and a dispatcher who errs, is told, and follows every advice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from towns import NOW, unit

from geomatch import BadInput, Matcher, Stop, Urgency
from geomatch.backup.assignments import AssignmentState
from geomatch.backup.coming import coming
from geomatch.backup.stop_events import EventKind, StopEvent
from geomatch.fleet.simulate import Patrol, Patrols
from geomatch.quantities import LonLat
from geomatch.service.stop_watch import StopWatch


@dataclass
class Shift:
    """Patrols at random, forty stops open at a time, and a dispatcher who errs, is told, and follows every advice."""

    matcher: Matcher
    patrols: Patrols
    watch: StopWatch
    rng: np.random.Generator
    now: float
    cars: list[str]
    events: list[StopEvent] = field(default_factory=list)
    served: list[tuple[str, str]] = field(default_factory=list)
    """Stop and unit, in the order they were assigned."""
    ends: dict[str, float] = field(default_factory=dict)
    opened: int = 0
    near: dict[str, float] = field(default_factory=dict)
    """Seconds that each assigned unit needed at the last step."""

    def step(self, seconds):
        self.now += seconds
        self.matcher.update(self.patrols.advance(self.now))
        for name in [name for name, end in self.ends.items() if end <= self.now]:
            self.clear(name)
        while len(self.ends) < 40:
            self.open()
        new = self.watch.look(self.now)
        self.events += new
        for one in new:
            self.follow(one)
        self.arrive()

    def open(self):
        view = self.matcher.fleet.view()
        free = [car for car in self.cars if car not in self.matcher.stops.view().engaged]
        car = str(self.rng.choice(free))
        self.opened += 1
        name = f"stop-{self.opened}"
        urgency = str(self.rng.choice(list(Urgency), p=[0.72, 0.26, 0.02]))
        place = self.matcher.state(car).fix.at
        self.matcher.open_stop(
            Stop(id=name, at=place, agency=view.units[view.slots[car]].agency, urgency=urgency, units_on_scene=(car,)),
            at=self.now, position="the only one",
        )  # fmt: skip
        self.ends[name] = self.now + float(self.rng.uniform(300.0, 1800.0))
        self.patrols.hold(car, self.ends[name])
        self.matcher.set_status(car, availability="not_available", activity="traffic_stop", at=self.now)
        # Every other stop asks for cover.
        if self.rng.random() < 0.5:
            self.send(name, None)

    def send(self, name, wanted):
        stop = self.matcher.stops.get(name).stop
        ranking = self.matcher.rank(stop, now=self.now)
        units = [one.unit for one in ranking.candidates]
        if wanted is None and units:
            # Three times of ten the dispatcher knows better, or not: that is what a closer unit is told for.
            wanted = units[-1] if self.rng.random() < 0.3 else units[0]
        if wanted not in units:
            return
        car = wanted
        one = self.matcher.assign(name, car, version=ranking.version, at=self.now)
        self.matcher.stops.advance(one.id, AssignmentState.en_route, at=self.now)
        self.matcher.set_status(car, availability="not_available", activity="en_route", at=self.now)
        self.served.append((name, car))
        self.steer(stop, car)

    def steer(self, stop, car):
        """Along its way by geomatch; where the noise of its fix put it on another street, it tries again later."""
        legs = self.matcher.route(stop, car, now=self.now).legs
        try:
            self.patrols.send(car, [leg.edge for leg in legs])
        except BadInput:
            self.patrols.hold(car, self.now)

    def follow(self, one):
        held = self.matcher.stops.view().stops.get(one.stop)
        if held is None:
            return
        if one.kind in {EventKind.status_check_due, EventKind.status_check_overdue}:
            self.matcher.stops.heard(one.stop, at=self.now)
        if one.kind is EventKind.closer_unit and one.interrupts:
            old = next((a for a in held.coming if a.unit == one.instead_of), None)
            ranked = [c.unit for c in self.matcher.rank(held.stop, now=self.now).candidates]
            if old is not None and one.unit in ranked:
                self.matcher.stops.advance(old.id, AssignmentState.cleared, at=self.now)
                self.free(old.unit)
                self.send(one.stop, one.unit)

    def arrive(self):
        on = self.matcher.snapshot()
        near = {}
        for held in list(on.stops.stops.values()):
            for one in coming(held, on.view, on.region, now=self.now, priors=self.matcher.priors):
                if one.eta is None:
                    continue
                name, near[one.assignment.id] = one.assignment.unit, one.eta.eta_s
                if one.eta.eta_s < 30.0:
                    self.matcher.stops.advance(one.assignment.id, AssignmentState.on_scene, at=self.now)
                    self.patrols.hold(name, self.ends[held.stop.id])
                elif one.eta.eta_s > self.near.get(one.assignment.id, 1e9) - 5.0:
                    self.steer(held.stop, name)
        self.near = near

    def clear(self, name):
        held = self.matcher.stops.clear(name, at=self.now)
        del self.ends[name]
        for car in {*held.stop.units_on_scene, *(one.unit for one in held.assignments)}:
            if car not in self.matcher.stops.view().engaged:
                self.free(car)

    def free(self, car):
        self.patrols.hold(car, self.now)
        self.matcher.set_status(car, availability="available", activity="patrol", at=self.now)


def shift(region, seconds, step_s, *, cars=160, seed=7) -> Shift:
    rng = np.random.default_rng(seed)
    network = region.network
    nodes = rng.integers(0, len(network.node_x), cars)
    lon, lat = network.projection.inverse(network.node_x[nodes], network.node_y[nodes])
    homes = [Patrol(unit=f"u{n:03d}", home=LonLat(float(lon[n]), float(lat[n]))) for n in range(cars)]
    patrols = Patrols(network, homes, now=NOW, rng=rng)
    matcher = Matcher(region)
    matcher.register([unit(home.unit, agency="metro.example") for home in homes])
    for home in homes:
        matcher.set_status(home.unit, availability="available", at=NOW)
    made = Shift(matcher, patrols, StopWatch(matcher), rng, NOW, [home.unit for home in homes])
    made.matcher.update(patrols.advance(NOW))
    for _ in range(int(seconds / step_s)):
        made.step(step_s)
    return made


def most_turns(made: Shift) -> tuple[int, int]:
    """How often any stop got one unit, and how often any assignment was advised on: more than once is ping-pong."""
    advised = Counter((one.stop, one.instead_of) for one in made.events if one.kind is EventKind.closer_unit)
    return max(Counter(made.served).values()), max(advised.values(), default=1)


def worst_hour(times):
    return max((sum(end - 3600.0 < time <= end for time in times) for end in times), default=0)
