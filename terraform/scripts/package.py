"""Build the Lambda packages: `package.py [--into build] arm64 x86_64` writes a zip for each.

A package has the locked wheels for its architecture, the app and its handlers, without what a
function does not use. The same input and the same Python produce the same bytes.
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
# Lambda's Python, and the wheels that work with the C library of its Amazon Linux 2023.
RUNTIME = (3, 13)
GLIBC = ("_2_34", "_2_28", "_2_17", "2014")
# Botocore's data for DynamoDB and for the services that issue credentials; it has 400 others.
SERVICES = frozenset({"dynamodb", "signin", "sso", "sso-oidc", "sts"})
# Type stubs, C sources, tests, scripts, and records of pip.
UNUSED_FILES = (
    *("*.pyi", "py.typed", "*.c", "*.cpp", "*.h", "*.hpp", "*.pyx", "*.pxd"),
    *("tests", "bin", "RECORD", "INSTALLER", "REQUESTED"),
)
# FastAPI imports pydantic's old API if it is there, and works without it.
UNUSED_PACKAGES = ("pydantic/v1",)
# The embedded store of `make run`.
LOCAL = ROOT / "api" / "local"
# The board's page, styles and scripts.
STATIC = ROOT / "api" / "board" / "static"
# The earliest time that a zip can store.
EPOCH = (1980, 1, 1, 0, 0, 0)


def build(machine: str, into: Path) -> Path:
    """Build the package for an architecture, and return its path."""
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "task"
        install(machine, root)
        remove_unused(root)
        for source in ("api", "handlers"):
            shutil.copytree(ROOT / source, root / source, ignore=_not_packaged)
        if can_compile():
            compile_all(root)
        archive = into / f"lambda-{machine}.zip"
        pack(root, archive)
        return archive


def install(machine: str, root: Path) -> None:
    """Install the locked wheels, which pip checks against their hashes."""
    platforms = [f"--platform=manylinux{glibc}_{MACHINES[machine]}" for glibc in GLIBC]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-compile", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += [f"--python-version={_runtime()}", "--implementation=cp", *platforms]
    subprocess.run([*command, f"--target={root}", f"--requirement={REQUIREMENTS}"], check=True)  # noqa: S603


def remove_unused(root: Path) -> None:
    """Remove what no code reads at run time."""
    data = root / "botocore" / "data"
    unused = [path for pattern in UNUSED_FILES for path in root.rglob(pattern)]
    services = [path for path in data.iterdir() if path.is_dir() and path.name not in SERVICES]
    for path in [*unused, *services, *(root / name for name in UNUSED_PACKAGES)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            # It may have been removed with its directory.
            path.unlink(missing_ok=True)


def can_compile() -> bool:
    """Return whether this Python has the same bytecode as Lambda's."""
    return sys.version_info[:2] == RUNTIME


def compile_all(root: Path) -> None:
    """Write bytecode that Python does not compare with its source; Lambda could not rewrite it."""
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash"]
    # The order of sets in bytecode depends on the hash seed.
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    subprocess.run(  # noqa: S603
        [*command, "-s", str(root), "-p", "/var/task", str(root)],
        env=environment | {"PYTHONHASHSEED": "0"},
        check=True,
    )


def pack(root: Path, archive: Path) -> None:
    """Write a zip with fixed order, times and permissions."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for path in sorted(_files(root)):
            entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), EPOCH)
            # A regular file that all users may read: Lambda runs as another user.
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, path.read_bytes())


def _files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file())


def _not_packaged(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if not _is_packaged(Path(directory, name))]


def _is_packaged(path: Path) -> bool:
    if path.is_dir():
        return path != LOCAL and path.name != "__pycache__"
    return path.suffix == ".py" or path.parent == STATIC


def _runtime() -> str:
    return ".".join(map(str, RUNTIME))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("machines", nargs="+", choices=MACHINES)
    parser.add_argument("--into", type=Path, default=ROOT / "build")
    arguments = parser.parse_args()
    if not can_compile():
        print(f"The package has no bytecode, which only Python {_runtime()} can write.")
    for machine in arguments.machines:
        archive = build(machine, arguments.into)
        unpacked = sum(entry.file_size for entry in zipfile.ZipFile(archive).infolist())
        zipped = archive.stat().st_size
        print(f"{archive}: {zipped / 1e6:.1f} MB, {unpacked / 1e6:.1f} MB unpacked")


if __name__ == "__main__":
    main()
