"""A file layer under SQLite that remembers what was written and what was synced: so power can be cut at any moment.

After a loss of power a file holds what was synced, and of what was written since then any part: some writes, none, or
one torn between sectors.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import apsw

SECTOR = 512


@dataclass
class Disk:
    """What was done to the files, in order: (what, file name, offset or size, bytes)."""

    done: list[tuple[str, str, int, bytes]] = field(default_factory=list)

    def after_power_loss(self, moment: int, folder: Path, rng: random.Random) -> None:
        """Writes the files as they may be when the power went after `moment` of the things done."""
        folder.mkdir()
        files: dict[str, bytearray] = {}
        unsynced: dict[str, list[tuple[str, int, bytes]]] = {}
        for what, name, at, raw in self.done[:moment]:
            if what == "sync":
                for change in unsynced.pop(name, []):
                    _apply(files.setdefault(name, bytearray()), *change)
                files.setdefault(name, bytearray())
            elif what == "delete":
                files.pop(name, None)
                unsynced.pop(name, None)
            else:
                unsynced.setdefault(name, []).append((what, at, raw))
        for name, changes in unsynced.items():
            lucky = rng.random()
            for change_what, at, raw in changes:
                chance = rng.random()
                if chance < lucky:
                    _apply(files.setdefault(name, bytearray()), change_what, at, raw)
                elif chance < lucky + 0.1 and change_what == "write":
                    torn = rng.randrange(0, len(raw) + 1, SECTOR) if len(raw) > SECTOR else 0
                    _apply(files.setdefault(name, bytearray()), "write", at, raw[:torn])
        for name, held in files.items():
            (folder / name).write_bytes(bytes(held))


def _apply(held: bytearray, what: str, at: int, raw: bytes) -> None:
    if what == "truncate":
        del held[at:]
        return
    if len(held) < at:
        held.extend(bytes(at - len(held)))
    held[at : at + len(raw)] = raw


class RecordingFiles(apsw.VFS):
    def __init__(self, name: str, disk: Disk) -> None:
        self.disk, self.vfs_name = disk, name
        super().__init__(name, "")

    def xOpen(self, name, flags):  # noqa: N802 - SQLite's name
        return RecordingFile(self.disk, name, flags)

    def xDelete(self, filename, syncdir):  # noqa: N802
        super().xDelete(filename, syncdir)
        self.disk.done.append(("delete", Path(filename).name, 0, b""))


class RecordingFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name, flags) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._disk, self._name = disk, Path(path or "temporary").name
        super().__init__("", name, flags)

    def xWrite(self, data, offset):  # noqa: N802
        super().xWrite(data, offset)
        self._disk.done.append(("write", self._name, offset, bytes(data)))

    def xTruncate(self, newsize):  # noqa: N802
        super().xTruncate(newsize)
        self._disk.done.append(("truncate", self._name, newsize, b""))

    def xSync(self, flags):  # noqa: N802
        super().xSync(flags)
        self._disk.done.append(("sync", self._name, 0, b""))


class OneConnection:
    """The one connection of a test: in exclusive mode, since a file layer in Python has no shared memory."""

    def __init__(self, disk: Disk, synchronous: str) -> None:
        self._disk, self._synchronous = disk, synchronous
        self._connection: apsw.Connection | None = None

    def __call__(self, path: Path) -> OneConnection:
        if self._connection is None:
            self._files = RecordingFiles(f"recording-{id(self)}", self._disk)
            self._connection = apsw.Connection(str(path), vfs=self._files.vfs_name)
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            from geomatch.journal.sqlite import prepare

            prepare(self._connection.execute)
            self._connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            self._connection.execute("PRAGMA wal_autocheckpoint = 20")
        return self

    def execute(self, sql, values=()):
        return self._connection.execute(sql, values)

    def executemany(self, sql, rows):
        return self._connection.executemany(sql, rows)

    def close(self) -> None:
        """It stays open: the next asker gets it too."""

    def really_close(self) -> None:
        self._connection.close()
