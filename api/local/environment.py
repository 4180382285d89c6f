"""Make a virtual environment with the locked packages: python environment.py DIRECTORY FILE...

An environment that is ready stays as it is; one that is incomplete, moved or outdated is made
anew. This runs before any package is installed, so it uses the standard library only.
"""

import argparse
import fcntl
import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PIP = ("-m", "pip", "install", "--disable-pip-version-check", "--require-hashes")
# What pip prints for a package at the start of its work on it.
PACKAGE_LINE = re.compile(r"(Collecting|Requirement already satisfied:) \S")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("files", type=Path, nargs="+", help="locked requirements")
    parser.add_argument("--any-python", action="store_true", help="keep one of another Python")
    parser.add_argument("--no-deps", action="store_true", help="as pip's")
    arguments = parser.parse_args()
    try:
        # Two commands at once would remove each other's packages.
        with _lock(arguments.directory.with_name(f"{arguments.directory.name}.lock")):
            environment = Environment(arguments.directory, any_python=arguments.any_python)
            if missing := environment.missing(arguments.files):
                environment.install(missing, ["--no-deps"] if arguments.no_deps else [])
    except OSError as error:
        sys.exit(f"{error.filename} cannot be written: {error.strerror}")


class Environment:
    """A virtual environment, and the record of what is installed in it."""

    def __init__(self, directory: Path, *, any_python: bool) -> None:
        self._directory = directory
        self._python = directory / "bin" / "python"
        self._record_file = directory / "installed.json"
        # Scripts in `bin` begin with the environment's path.
        self._here = {"path": str(directory.resolve()), "python": sys.version}
        self._compared = ["path"] if any_python else ["path", "python"]
        self._record = self._read_record()

    def missing(self, files: list[Path]) -> list[Path]:
        """Return the files whose packages are not installed."""
        return [file for file in files if self._installed.get(str(file)) != _digest(file)]

    def install(self, files: list[Path], options: list[str]) -> None:
        if not self._is_usable or any(str(file) in self._installed for file in files):
            files = self._start_anew(files)
        total, began = len({name for file in files for name in _packages(file)}), time.monotonic()
        _say(f"Installing {total} packages into {self._directory}/, once: about a minute.")
        listed = [argument for file in files for argument in ("-r", str(file))]
        _run_pip([str(self._python), *PIP, *options, *listed], total)
        installed = self._installed | {str(file): _digest(file) for file in files}
        self._write_record(installed)
        size = sum(file.stat().st_size for file in self._directory.rglob("*") if file.is_file())
        _say(f"Installed in {time.monotonic() - began:.0f} s; {size / 1e6:.0f} MB.")

    @property
    def _installed(self) -> dict[str, str]:
        return self._record.get("installed", {}) if self._is_usable else {}

    @property
    def _is_usable(self) -> bool:
        return all(self._record.get(name) == self._here[name] for name in self._compared)

    def _start_anew(self, files: list[Path]) -> list[Path]:
        """Make an empty environment, and return all files that it needs."""
        earlier = [Path(file) for file in self._record.get("installed", {})]
        version = sys.version.split()[0]
        _say(f"Making {self._directory}/ with Python {version} ({sys.executable}).")
        created = subprocess.run(  # noqa: S603 - this Python
            [sys.executable, "-m", "venv", "--clear", str(self._directory)], check=False
        )
        if created.returncode:
            sys.exit("Python's venv failed. On Debian: apt-get install python3-venv")
        self._record = {}
        return [*files, *(file for file in earlier if file.exists() and file not in files)]

    def _read_record(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            record: dict[str, Any] = json.loads(self._record_file.read_text())
            subprocess.run([str(self._python), "-c", ""], check=True, stderr=subprocess.DEVNULL)  # noqa: S603
            return record
        return {}

    def _write_record(self, installed: dict[str, str]) -> None:
        self._record = {**self._here, "installed": installed}
        self._record_file.write_text(json.dumps(self._record))


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Waiting for another command that installs packages.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run_pip(command: list[str], total: int) -> None:
    """Run pip with a line of progress on a terminal."""
    done = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pip:  # noqa: S603
        for line in pip.stdout or ():
            if PACKAGE_LINE.match(line.strip()):
                done += 1
                _show_progress(f"{done} of {total} packages")
            elif line.startswith("Installing"):
                _show_progress("writing the packages")
    _show_progress("")
    if pip.returncode:
        sys.exit(
            "pip could not install the packages; its message is above. It needs a connection to "
            "PyPI, or a mirror in PIP_INDEX_URL."
        )


def _show_progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:30}\r")
        sys.stderr.flush()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _packages(file: Path) -> list[str]:
    return re.findall(r"^([\w.-]+)(?:\[.*\])?==", file.read_text(), re.MULTILINE)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
