"""The base image: the pinned one, or a stand-in from Debian if its registry cannot be reached."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

from api.local.processes import ROOT
from tests.image.buildah import BUILD_SECONDS, build, buildah
from tests.support.require_tool import require_tool

STAND_IN = "localhost/task-tracker-test-base"
# What Python's own modules load, beside what Debian always has.
LIBRARIES = "libffi8,libssl3"
CACHE = ROOT / "build" / "image"
DOCKERFILE = """\
FROM scratch
ADD debian.tar /
COPY python /usr/local
ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
RUN ldconfig
CMD ["python3"]
"""
# The official image has none of these, and of the packages only pip.
LEFT_OUT = ("__pycache__", "config-*", "idlelib", "idle_test", "test", "tests", "turtledemo", "*.a")


def base_image(pinned: str, scratch: Path) -> str:
    """Return the name of the pinned image, or of a stand-in if that cannot be pulled."""
    if not buildah("pull", "--quiet", "--retry=0", pinned, check=False).returncode:
        return pinned
    require_tool("mmdebstrap", "mmdebstrap")
    _copy_python(scratch / "python")
    shutil.copy(_debian(), scratch / "debian.tar")
    (scratch / "Dockerfile").write_text(DOCKERFILE)
    build(scratch, STAND_IN)
    return STAND_IN


def _debian() -> Path:
    """Return a minimal system of this machine's release, whose C library fits its Python."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    archive = CACHE / f"{release}.tar"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = CACHE / f"{release}.partial.tar"
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={LIBRARIES}"]
        subprocess.run([*command, release, partial], check=True, timeout=BUILD_SECONDS)
        partial.rename(archive)
    return archive


def _copy_python(target: Path) -> None:
    """Copy the Python that runs this, without the packages that were installed into it."""
    prefix = Path(sys.base_prefix)
    library = Path("lib", f"python{sys.version_info.major}.{sys.version_info.minor}")
    for part in (Path("bin"), library):
        ignored = shutil.ignore_patterns(*LEFT_OUT, "site-packages")
        shutil.copytree(prefix / part, target / part, symlinks=True, ignore=ignored)
    for shared in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy(shared, target / "lib")
    for pip in (prefix / library / "site-packages").glob("pip*"):
        shutil.copytree(
            pip,
            target / library / "site-packages" / pip.name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
