"""The bill of what ships, in CycloneDX: each package of a lock, its version and its hashes."""

import os
import subprocess
from pathlib import Path

from tests.audit.service import BIN

# By the lock of what ships.
BILLS = {
    "requirements.txt": "sbom.cdx.json",
    "handlers/requirements.txt": "sbom-lambda.cdx.json",
}


def write(root: Path) -> list[Path]:
    """Write all bills to build/, each valid by CycloneDX's schema and the same each time."""
    (root / "build").mkdir(exist_ok=True)
    written = []
    for lock, name in BILLS.items():
        bill = root / "build" / name
        command: list[str | Path] = [
            *(BIN / "cyclonedx-py", "requirements", root / lock),
            *("--pyproject", root / "pyproject.toml", "--output-reproducible"),
            *("--spec-version", "1.6", "--validate", "--output-file", bill),
        ]
        # A lock tells what there is, and not who wants which: there is no graph to complete.
        environment = os.environ | {"PYTHONWARNINGS": "ignore::UserWarning"}
        subprocess.run(command, env=environment, check=True)
        written.append(bill)
    return written
