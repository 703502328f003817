"""PostGIS's index for the straight line, and pgRouting on the reversed turn-expanded graph, between starts of edges.

A server of our own in a temporary folder. Debian: apt-get install postgresql-15-postgis-3 postgresql-15-pgrouting.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import psycopg
from case import Answer, Case, Cell

KNN = "SELECT row FROM units ORDER BY at <-> ST_MakePoint(%s, %s) LIMIT %s"
COSTS = """SELECT start_vid, end_vid, agg_cost FROM pgr_dijkstraCost(
    'SELECT id, source, target, cost FROM arcs', %s::bigint[], %s::bigint[], directed => true)"""


def prepare_knn(case: Case, cell: Cell):
    fleet, stops = case.fleet(cell), case.stops.xy
    database = _database("postgis")
    database.execute("DROP TABLE IF EXISTS units")
    database.execute("CREATE TABLE units (row integer PRIMARY KEY, at geometry(Point))")
    with database.cursor().copy("COPY units FROM STDIN") as copy:
        for row, (x, y) in zip(fleet.rows.tolist(), fleet.xy.tolist(), strict=True):
            copy.write_row((row, f"POINT({x} {y})"))
    database.execute("CREATE INDEX ON units USING gist (at)")
    database.execute("ANALYZE units")

    def answer(stop: int) -> Answer:
        x, y = stops[stop]
        found = database.execute(KNN, (float(x), float(y), fleet.k), prepare=True).fetchall()
        return np.array([row for (row,) in found]), np.arange(len(found))

    return answer


def prepare_routing(case: Case, cell: Cell):
    graph, fleet = case.graph, case.fleet(cell)
    database = _database("postgis", "pgrouting")
    if not database.execute("SELECT to_regclass('arcs')").fetchone()[0]:
        database.execute("CREATE TABLE arcs (id bigint, source bigint, target bigint, cost float8)")
        with database.cursor().copy("COPY arcs FROM STDIN") as copy:
            arcs = zip(graph.arc_head.tolist(), graph.arc_tail.tolist(), graph.start_ms.tolist(), strict=True)
            for n, (head, tail, ms) in enumerate(arcs):
                copy.write_row((n, head, tail, ms))
        database.execute("ANALYZE arcs")
    wanted = fleet.edges.tolist()

    def answer(stop: int) -> Answer:
        targets = case.targets[stop]
        out = {edge: graph.out_of_edge(edge) for edge, _ in targets}
        columns = wanted + sorted({head for arcs in out.values() for head, _ in arcs} - set(wanted))
        found = database.execute(COSTS, (list(out), columns), prepare=True).fetchall()
        ms_between = {(start, end): ms for start, end, ms in found} | {(edge, edge): 0 for edge in out}
        far = np.array([[ms_between.get((edge, unit), np.inf) for unit in wanted] for edge in out])
        loops = {
            edge: min((ms + ms_between.get((edge, head), np.inf) for head, ms in arcs), default=np.inf)
            for edge, arcs in out.items()
        }
        return fleet.soonest_by_starts(far, loops, targets)

    return answer


@cache
def _database(*extensions: str) -> psycopg.Connection:
    """One a process. PostgreSQL refuses to run as root, so root lends it to the user that Debian made for it."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    program = shutil.which("initdb") or (programs and programs[-1])
    if not program:
        raise ModuleNotFoundError("PostgreSQL is not installed")
    programs_in = Path(program).parent
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    lend = ["runuser", "-u", user, "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="rival-"))
    if lend:
        shutil.chown(folder, user)
    data = folder / "data"
    _quietly([*lend, programs_in / "initdb", "-D", data, "-A", "trust", "-E", "UTF8"])
    settings = f"-k {folder} -c listen_addresses='' -c shared_buffers=256MB -c work_mem=64MB"
    control = [*lend, programs_in / "pg_ctl", "-D", data, "-o", settings, "-l", folder / "log", "-w"]
    _quietly([*control, "start"])
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(_quietly, [*control, "-m", "immediate", "stop"])
    database = psycopg.connect(host=str(folder), user=user, dbname="postgres", autocommit=True)
    for extension in extensions:
        database.execute(f"CREATE EXTENSION {extension} CASCADE")
    return database


def _quietly(command: list[object]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")
