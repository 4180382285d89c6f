"""The journal of the embedded store: every acknowledged write, in order, one JSON line each.

`python -m api.local.journal --delete .data` deletes the data, unless a store is using it.
"""

import argparse
import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

LOCK_SECONDS = 5
# Restoring takes seconds with many tasks; a line of progress appears this often.
PROGRESS_SECONDS = 2


class Entry(NamedTuple):
    """One request that wrote something."""

    region: str
    operation: str
    body: dict[str, Any]

    @property
    def writes(self) -> int:
        """The number of items that it writes, at least one."""
        return max(1, *map(len, self.body.get("RequestItems", {}).values()), 0)


class Journal:
    """The journal of one store, locked for this process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = _lock(path.parent, LOCK_SECONDS)
        self._file: IO[bytes] | None = None

    def restore(self, call: Callable[[Entry], Any]) -> list[Entry]:
        """Repeat the writes, and return them."""
        entries, printed = list(self._entries()), time.monotonic()
        for number, entry in enumerate(entries, 1):
            call(entry)
            if time.monotonic() - printed > PROGRESS_SECONDS:
                printed = time.monotonic()
                share = number / len(entries)
                sys.stderr.write(f"Restoring {self._path.parent}/: {share:.0%}\n")
        self._file = self._path.open("ab", buffering=0)
        return entries

    def replace(self, entries: Iterable[Entry]) -> None:
        """Replace the journal by a shorter one with the same result."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.writelines(_line(entry) for entry in entries)
        fresh.replace(self._path)
        self._file = self._path.open("ab", buffering=0)

    def append(self, entry: Entry) -> None:
        """Append a write before it is acknowledged.

        The kernel has it then: killing this process loses nothing, a power failure may.

        Raises:
            OSError: it could not be written as a whole.
        """
        line = _line(entry)
        if self._file and self._file.write(line) != len(line):
            raise OSError("No space left on device")

    def _entries(self) -> Iterator[Entry]:
        lines = self._path.read_bytes().splitlines(keepends=True) if self._path.exists() else []
        if lines and not lines[-1].endswith(b"\n"):
            # A write that was cut short was never acknowledged.
            cut_short = lines.pop()
            os.truncate(self._path, self._path.stat().st_size - len(cut_short))
        for number, line in enumerate(lines, 1):
            try:
                yield Entry(**json.loads(line))
            except (TypeError, ValueError):
                sys.exit(
                    f"{self._path}, line {number} is damaged. Restore the file from a backup; or "
                    "delete that line, which loses its write; or run `make reset`, which deletes "
                    "all tasks."
                )


def _line(entry: Entry) -> bytes:
    return json.dumps(entry._asdict()).encode() + b"\n"


def _lock(folder: Path, seconds: float) -> IO[str]:
    """Lock the data for this process, or exit if another one has it for longer."""
    file = (folder / "journal.lock").open("w")
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                sys.exit(f"{folder}/ is in use by another store; stop that one first.")
            time.sleep(0.05)
        else:
            return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delete", type=Path, required=True, help="the folder with the data")
    folder = parser.parse_args().delete
    try:
        if folder.exists():
            _lock(folder, seconds=0)
            shutil.rmtree(folder)
    except OSError as error:
        sys.exit(f"{error.filename} cannot be deleted: {error.strerror}")


if __name__ == "__main__":
    main()
