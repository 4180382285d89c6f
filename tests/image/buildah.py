"""buildah and podman, which build and run images without a daemon."""

import os
import subprocess
from pathlib import Path

Result = subprocess.CompletedProcess[str]
# This machine's certificates and the settings of its pip, for the steps that install packages.
MOUNTED = ("/etc/ssl/certs", "/etc/pip.conf")
BUILD_SECONDS = 900
# Health checks are run by the tests. Timers for them would need systemd.
ENVIRONMENT = {**os.environ, "DISABLE_HC_SYSTEMD": "true"}


def buildah(*arguments: str | Path, check: bool = True) -> Result:
    return _run("buildah", *arguments, check=check, seconds=BUILD_SECONDS)


def podman(*arguments: str | Path, check: bool = True, seconds: float = 60) -> Result:
    return _run("podman", *arguments, check=check, seconds=seconds)


def build(context: Path, tag: str, *arguments: str) -> None:
    """Build the Dockerfile of a directory, in the format that has health checks."""
    volumes = [f"--volume={path}:{path}:ro" for path in MOUNTED if Path(path).exists()]
    isolation = ["--isolation=chroot", "--format=docker"]
    buildah("build", *isolation, *volumes, *arguments, f"--tag={tag}", context)


def _run(*command: str | Path, check: bool, seconds: float) -> Result:
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=seconds
    )
    assert not check or result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result
