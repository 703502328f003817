"""A ranking as a person wants to read it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from geomatch.quantities import format_time

if TYPE_CHECKING:
    from geomatch.model import Candidate, Excluded, Ranking, ResolvedStop, Verdict

SHOWN_UNITS = 6
"""Call signs named for each reason before "and 12 more"."""
PIPE_COLUMNS = 120
_POINTS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


def console() -> Console:
    """Stdout: as wide as the terminal, or 120 columns where there is none."""
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=PIPE_COLUMNS)


def tell(out: Console, line: str) -> None:
    """A line whose leading spaces hold for what is wrapped of it too."""
    words = line.lstrip(" ")
    out.print(Padding(words, (0, 0, 0, len(line) - len(words)), expand=False))


def minutes(seconds: float) -> str:
    """m:ss, rounded to the second."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def distance(metres: float | None) -> str:
    if metres is None:
        return ""
    return f"{round(metres, -1):.0f} m" if metres < 995 else f"{metres / 1000:.1f} km"


def compass(course_deg: float) -> str:
    return _POINTS[round(course_deg / 45) % 8]


def print_ranking(ranking: Ranking, out: Console) -> None:
    """Where, who, who not and why, and what is proven."""
    out.print(f"[bold]Stop {escape(ranking.stop.id)}[/bold] {escape(where(ranking.resolved))}")
    if ranking.resolved.responsibility:
        tell(out, f"  {escape(ranking.resolved.responsibility)}")
    units = _counted(ranking.counts.get("units", 0), "unit")
    moment = format_time(ranking.now).replace(".000Z", "Z")
    out.print(f"{_spaced(ranking.stop.urgency)}, {ranking.mode} driving, {units} known, at {moment}\n")
    if ranking.candidates:
        out.print(candidates_table(ranking))
    else:
        out.print("[bold]No unit may go.[/bold]")
    for line in _closing_lines(ranking):
        tell(out, line)


def where(resolved: ResolvedStop) -> str:
    """The roads it was put on, and whose stop it is, so that a wrong snap shows."""
    headings: dict[str, list[str]] = {}
    for place in resolved.places:
        headings.setdefault(place.road or "a road with no name", []).append(compass(place.towards_deg))
    roads = [f"on {road} heading {' or '.join(ways)}" for road, ways in headings.items()]
    snap = f", {resolved.places[0].snap_m:.0f} m from the position given" if resolved.places else ""
    agency = f"; {resolved.agency}" if resolved.agency else ""
    psap = f", calls go to {resolved.psap}" if resolved.psap else ""
    beat = f", {resolved.beat}" if resolved.beat else ""
    notes = f" ({', '.join(_spaced(note) for note in resolved.notes)})" if resolved.notes else ""
    return f"{' or '.join(roads)}{snap}{agency}{beat}{psap}{notes}"


def candidates_table(ranking: Ranking) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "Unit", "Agency"):
        table.add_column(name, no_wrap=True)
    for name in ("ETA", "9 in 10", "Drive", "By air"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("May it go?")
    table.add_column("Remarks")
    for rank, candidate in enumerate(ranking.candidates, start=1):
        table.add_row(
            str(rank),
            escape(called(candidate)),
            escape(candidate.agency),
            f"[bold]{minutes(candidate.eta.eta_s)}[/bold]",
            minutes(candidate.eta.p90_s),
            minutes(candidate.eta.travel_s),
            distance(candidate.distance_m),
            escape(verdict_words(candidate.verdict)),
            escape(remarks(candidate)),
        )
    return table


def verdict_words(verdict: Verdict) -> str:
    """`yes`, or by what paper and what it takes. That no agreements are loaded is told once, in the notes."""
    decision = {"eligible": "yes", "eligible_notify": "yes, and tell", "needs_approval": "must be asked"}
    why = {"own_agency": "own agency", "no_agreements_loaded": "", "granted": verdict.agreement or ""}
    words = [decision.get(verdict.decision, _spaced(verdict.decision)), why.get(verdict.code, _spaced(verdict.code))]
    said = ", ".join(filter(None, words))
    return f"{said}: {verdict.what_would_change}" if verdict.what_would_change else said


def remarks(candidate: Candidate) -> str:
    """What a dispatcher should know before sending it."""
    said = [_spaced(note) for note in candidate.notes]
    if candidate.officers > 1:
        said.append(f"{candidate.officers} officers")
    if candidate.preferred_met:
        said.append("has " + ", ".join(candidate.preferred_met))
    if candidate.eta.request_s >= 1:
        said.append(f"{minutes(candidate.eta.request_s)} to ask for it")
    if candidate.fix_age_s >= 15:
        said.append(f"position {minutes(candidate.fix_age_s)} old")
    return ", ".join(said)


def _closing_lines(ranking: Ranking) -> Iterator[str]:
    if ranking.need_met_s is not None:
        yield f"\nEnough officers ({ranking.stop.need.officers}) are there in {minutes(ranking.need_met_s)}."
    else:
        yield f"\nThe units that may go do not bring {ranking.stop.need.officers} officers together."
    least = ranking.complete.not_evaluated_at_least_s
    if beyond := len(ranking.beyond_k):
        bound = f", none before {minutes(least)}" if least is not None else ""
        yield f"May go but slower: {_counted(beyond, 'unit')}{bound}."
    if ranking.excluded:
        yield "[bold]Not sent[/bold]"
        yield from _excluded_lines(ranking.excluded)
    for note in ranking.notes:
        yield escape(f"Note: {_spaced(note)}.")
    for one in ranking.degraded:
        yield escape(f"Degraded: {one.detail}.")
    if ranking.candidates and not ranking.candidates[0].eta.calibrated:
        yield "[dim]9 in 10 times it is there by then: from published spreads, not this region's history.[/dim]"
    yield f"[dim]Map {escape(ranking.attribution)}. Region {ranking.region[:12]}.[/dim]"


def _excluded_lines(excluded: Sequence[Excluded]) -> Iterator[str]:
    """By reason and remedy, the most first; then the units that would be among the candidates but for theirs."""
    alike: dict[tuple[str, str], list[Excluded]] = defaultdict(list)
    for one in excluded:
        remedy = one.verdict.what_would_change if one.verdict else None
        alike[one.reason, remedy or ""].append(one)
    for (reason, remedy), ones in sorted(alike.items(), key=lambda item: (-len(item[1]), item[0])):
        named = ", ".join(one.unit for one in ones[:SHOWN_UNITS])
        more = f" and {len(ones) - SHOWN_UNITS} more" if len(ones) > SHOWN_UNITS else ""
        yield escape(f"  {len(ones)} {_spaced(reason)}: {named}{more}")
        if remedy:
            yield escape(f"     would change it: {remedy}")
    # `would_be` begins with a rank where the unit would have been proposed.
    for near in [one for one in excluded if one.would_be and one.would_be[0].isdigit()][:SHOWN_UNITS]:
        yield escape(f"  {near.unit} would be {near.would_be}.")


def called(candidate: Candidate) -> str:
    return candidate.call_sign or candidate.unit


def _spaced(word: str) -> str:
    return word.replace("_", " ")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
