"""`make mutants`: put faults into a copy of the code, one at a time, and count what is noticed.

Prints a score of each module and every fault that no test noticed, and writes both to
build/mutants.json. Names of modules as arguments (cursor, service) leave the others out.
"""

import json
import shutil
import subprocess
import sys
import time
import tomllib

from tests.mutants import score
from tests.support.figures import Figures
from tests.support.processes import ROOT

MODULES = ("repository", "items", "edits", "idempotency", "service", "cursor", "failures")
# Nothing in the tree itself is changed; and what is edited meanwhile is for the next run.
EQUIVALENT = ROOT / "tests" / "mutants" / "equivalent.toml"
COPY = ROOT / "build" / "mutants"
LEFT_OUT = shutil.ignore_patterns("build", "node_modules", "__pycache__", ".*")


def main() -> None:
    began = time.monotonic()
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(ROOT, COPY, ignore=LEFT_OUT)
    modules = sys.argv[1:] or MODULES
    subprocess.run([sys.executable, "-m", "tests.mutants.session", *modules], cwd=COPY, check=True)
    verdicts = _verdicts()
    scores = score.by_module(verdicts)
    report = {
        "seconds": round(time.monotonic() - began),
        "scores": {
            name: s._asdict() | {"raw": s.raw, "adjusted": s.adjusted} for name, s in scores.items()
        },
        "verdicts": verdicts,
    }
    (ROOT / "build" / "mutants.json").write_text(json.dumps(report, indent=1) + "\n")
    total = scores["total"]
    figures = Figures()
    figures.count("mutants", tried=total.mutants - total.equivalent, failed=total.survived)
    figures.save()
    print(f"{score.survivors(verdicts)}\n\n{score.table(scores)}")


def _verdicts() -> list[score.Verdict]:
    """Read the verdicts, and set apart what is known to make no difference."""
    equivalent = tomllib.loads(EQUIVALENT.read_text()).get("mutant", [])
    named = {(mutant["function"], mutant["before"], mutant["after"]) for mutant in equivalent}
    lines = (COPY / "build" / "verdicts.jsonl").read_text().splitlines()
    verdicts: list[score.Verdict] = [json.loads(line) for line in lines]
    for verdict in verdicts:
        name = (verdict["function"], verdict["before"], verdict["after"])
        if verdict["verdict"] == "survived" and name in named:
            verdict["verdict"] = "equivalent"
    return verdicts


if __name__ == "__main__":
    main()
