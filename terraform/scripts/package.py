"""Make what Lambda runs: `package.py [--into build] arm64 x86_64` writes a zip for each.

The locked wheels of that machine, the app and its handlers, less what nothing there reads. The
same input and the same Python make the same bytes.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "handlers" / "requirements.txt"
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
# The runtime's Python, and the newest C library's wheels that its Amazon Linux 2023 takes.
RUNTIME = (3, 13)
GLIBC = ("_2_34", "_2_28", "_2_17", "2014")
# Of botocore's 400 services: the table's, and those that credentials are asked for.
SERVICES = frozenset({"dynamodb", "signin", "sso", "sso-oidc", "sts"})
# Types are for checkers, sources for compilers, scripts for shells, and pip's notes for pip.
UNREAD = (
    *("*.pyi", "py.typed", "*.c", "*.cpp", "*.h", "*.hpp", "*.pyx", "*.pxd"),
    *("tests", "bin", "RECORD", "INSTALLER", "REQUESTED"),
)
# The old pydantic within the new: FastAPI imports it if it is there, and can do without.
UNWANTED = ("pydantic/v1",)
# The oldest time that a zip can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)


def build(machine: str, into: Path) -> Path:
    """Make the zip for a machine, and return its path."""
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "task"
        install(machine, root)
        cut(root)
        for source in ("api", "handlers"):
            shutil.copytree(ROOT / source, root / source, ignore=_not_code)
        if compiles():
            compile_all(root)
        archive = into / f"lambda-{machine}.zip"
        pack(root, archive)
        return archive


def install(machine: str, root: Path) -> None:
    """Unpack the locked wheels, each checked against its hash."""
    platforms = [f"--platform=manylinux{glibc}_{MACHINES[machine]}" for glibc in GLIBC]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-compile", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += [f"--python-version={_runtime()}", "--implementation=cp", *platforms]
    subprocess.run([*command, f"--target={root}", f"--requirement={REQUIREMENTS}"], check=True)  # noqa: S603


def cut(root: Path) -> None:
    """Take away what nothing reads at run time."""
    data = root / "botocore" / "data"
    unread = [path for pattern in UNREAD for path in root.rglob(pattern)]
    services = [path for path in data.iterdir() if path.is_dir() and path.name not in SERVICES]
    for path in [*unread, *services, *(root / name for name in UNWANTED)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            # It may have gone with its directory.
            path.unlink(missing_ok=True)


def compiles() -> bool:
    """Tell whether this Python's bytecode is the runtime's."""
    return sys.version_info[:2] == RUNTIME


def compile_all(root: Path) -> None:
    """Write bytecode that is not compared with its source: Lambda cannot write any."""
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash"]
    # Sets are written in the order of their hashes.
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    subprocess.run(  # noqa: S603
        [*command, "-s", str(root), "-p", "/var/task", str(root)],
        env=environment | {"PYTHONHASHSEED": "0"},
        check=True,
    )


def pack(root: Path, archive: Path) -> None:
    """Write a zip in which order, times and permissions are always the same."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for path in sorted(_files(root)):
            entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), EPOCH)
            # A regular file that everybody may read: Lambda runs it as a user of its own.
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, path.read_bytes())


def _files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file())


def _not_code(directory: str, names: list[str]) -> list[str]:
    return [
        name for name in names if not (name.endswith(".py") or Path(directory, name).is_dir())
    ] + ["__pycache__"]


def _runtime() -> str:
    return ".".join(map(str, RUNTIME))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("machines", nargs="+", choices=MACHINES)
    parser.add_argument("--into", type=Path, default=ROOT / "build")
    arguments = parser.parse_args()
    if not compiles():
        print(f"No bytecode goes in: that takes Python {_runtime()}.")
    for machine in arguments.machines:
        archive = build(machine, arguments.into)
        unpacked = sum(entry.file_size for entry in zipfile.ZipFile(archive).infolist())
        zipped = archive.stat().st_size
        print(f"{archive}: {zipped / 1e6:.1f} MB, {unpacked / 1e6:.1f} MB unpacked")


if __name__ == "__main__":
    main()
