"""Coverage-guided fuzzing of all that reads bytes from outside, by atheris: run by hand, for as long as asked.

    pip install --group fuzz
    python tests/fuzz.py --seconds 60            # each target, one after the other
    python tests/fuzz.py wzdx requests --seconds 600

It ends with 1 where an input broke a target, and keeps that input in --found. Put what was found in
tests/fuzz_found/TARGET/, mend the code, and test_fuzz_found.py holds it from then on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

ODD = (
    None, True, False, 0, -1, 1e308, 10**30, -0.0, "", " ", "NaN", "\ud800", "\u0000", "\u202e", "2026-03-07T22:15:00Z",
    [], {}, [[]], {"": ""}, "x" * 300, [None], 5e-324, "2026-02-30T25:61:00Z", "-180", "90.0000001",
)  # fmt: skip
"""Values that something may have forgotten."""


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("targets", nargs="*", help="Which; all where none is named.")
    ask.add_argument("--seconds", type=int, default=60, help="For each target.")
    ask.add_argument("--found", type=Path, default=Path(tempfile.gettempdir()) / "geomatch-fuzz-found")
    ask.add_argument("--corpus", type=Path, help="Keep what reaches new code here, and begin from it the next time.")
    ask.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    told = ask.parse_args()
    if told.one:
        return fuzz(told.targets[0], told.seconds, told.found, told.corpus)
    from fuzz_targets import targets

    broken = []
    for name in told.targets or targets():
        with tempfile.TemporaryDirectory() as folder:
            corpus = (told.corpus or Path(folder)) / name
            begun = time.monotonic()
            done = subprocess.run(
                [sys.executable, __file__, name, "--one", f"--seconds={told.seconds}", f"--found={told.found}",
                 f"--corpus={corpus}"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
            )  # fmt: skip
        ends = re.findall(r"#(\d+).*?cov: (\d+)", done.stdout)
        runs, covered = ends[-1] if ends else ("0", "0")
        state = "ok" if done.returncode == 0 else "BROKEN"
        print(
            f"{name:18} {state:7} {int(runs):>10,} runs, {covered:>6} places, {time.monotonic() - begun:6.0f} s",
            flush=True,
        )
        if done.returncode:
            broken.append(name)
            sys.stdout.write(_fault(done.stdout))
    return 1 if broken else 0


def fuzz(name: str, seconds: int, found: Path, corpus: Path) -> int:
    """In a process of its own: libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["geomatch"], exclude=compiled()):
        from fuzz_targets import targets
    target = targets()[name]
    found.mkdir(parents=True, exist_ok=True)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(target.samples):
        (corpus / f"sample-{number}").write_bytes(sample)
        target.run(sample)  # whatever is compiled or read once is, so that no input is held to be slow for it
    for kept in (HERE / "fuzz_found" / name).glob("*"):
        (corpus / kept.name).write_bytes(kept.read_bytes())
    words = found / f"{name}.dict"
    words.write_text(_dictionary(target.samples), encoding="ascii")
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={found}/{name}-", f"-dict={words}", "-timeout=60",
               "-rss_limit_mb=4096", "-max_len=65536", str(corpus)]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], target.run, custom_mutator=_Mutator(atheris))
    atheris.Fuzz()
    return 0


def compiled() -> list[str]:
    """The modules with loops that numba compiles: counting in them would keep it from that."""
    package = HERE.parent / "geomatch"
    return [
        ".".join(path.relative_to(HERE.parent).with_suffix("").parts)
        for path in package.rglob("*.py")
        if "njit" in (text := path.read_text(encoding="utf-8")) or "@kernel" in text
    ]


class _Mutator:
    """Half of the time changes a value of JSON as a value, which bytes alone seldom manage; else as libFuzzer does."""

    def __init__(self, atheris: object) -> None:
        self._atheris = atheris

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        head, body = (data[:1], data[1:]) if data[:1] not in b"[{" else (b"", data)
        if chance.random() < 0.5:
            with contextlib.suppress(ValueError, RecursionError, UnicodeDecodeError):
                changed = head + json.dumps(_changed(json.loads(body), chance)).encode()
                if len(changed) <= max_size:
                    return changed
        return self._atheris.Mutate(data, max_size)


def _changed(document: object, chance: random.Random) -> object:
    """One value somewhere in it is another: an odd one, a copy from elsewhere, or gone."""
    places = list(_places(document))
    if not places:
        return chance.choice(ODD)
    holder, key = chance.choice(places)
    kind = chance.random()
    if kind < 0.15:
        del holder[key]
    elif kind < 0.35:
        other, from_key = chance.choice(places)
        holder[key] = json.loads(json.dumps(other.get(from_key) if isinstance(other, dict) else other[from_key]))
    elif kind < 0.45 and isinstance(holder, dict):
        holder[chance.choice(("", "\ud800", "id", "type", "x" * 300))] = chance.choice(ODD)
    else:
        holder[key] = chance.choice(ODD)
    return document


def _places(value: object):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from _places(inner)
    elif isinstance(value, list):
        for key, inner in enumerate(value):
            yield value, key
            yield from _places(inner)


def _dictionary(samples: tuple[bytes, ...]) -> str:
    """The words of the samples, as libFuzzer has them."""
    words = {word for sample in samples for word in re.findall(rb"[A-Za-z_$@][\w$.:-]{1,30}", sample)}
    words |= {b'"', b"NaN", b"1e999", b"\\ud800", b"[[", b"{}", b"null", b"<!DOCTYPE x>", b"T00:00:00Z", b'"""', b"'''"}
    escaped = ("".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in one) for one in words)
    return "".join(f'"{one}"\n' for one in sorted(escaped))


def _fault(text: str) -> str:
    """Where it broke, and with what, without libFuzzer's own report."""
    where = re.search(r"=== Uncaught Python exception: ===(.*?)\n==\d+==", text, re.DOTALL)
    kept = re.findall(r"Test unit written to .*", text)
    return "\n".join([where[1] if where else text[-3000:], *kept, ""])


if __name__ == "__main__":
    raise SystemExit(main())
