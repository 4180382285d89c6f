"""The audit, with pip-audit and cyclonedx-py themselves, on an OSV that this machine plays."""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.audit import bill, service
from tests.audit.__main__ import main
from tests.support.presence import need
from tests.support.processes import ROOT

PIN = "{} --hash=sha256:" + 64 * "0" + "\n"
# What is known of pycrypto 2.6.1, in OSV's words.
KNOWN = (ROOT / "tests/audit/osv_pycrypto.json").read_bytes()
NOBODY = "http://127.0.0.1:1/v1/query"


class Osv(NamedTuple):
    """An OSV that knows of one package; a test changes the status that it answers with."""

    url: str
    status: list[int]


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    need(str(service.BIN / "pip-audit"))


@pytest.fixture
def osv() -> Iterator[Osv]:
    status = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = (question["package"]["name"], question["version"])
            answer = KNOWN if asked == ("pycrypto", "2.6.1") else b"{}"
            self.send_response(status[0])
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Osv(f"http://127.0.0.1:{server.server_port}/v1/query", status)
        server.shutdown()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose locks pin one package each, with nothing accepted."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "handlers").mkdir()
    for lock in bill.BILLS:
        (tmp_path / lock).write_text(PIN.format("mangum==0.22.0"))
    (tmp_path / "tests/audit").mkdir(parents=True)
    accept(tmp_path)
    return tmp_path


def accept(root: Path, vulnerability: str = "PYSEC-2018-97", until: str = "") -> None:
    entry = f"""[[vulnerability]]
        id = "{vulnerability}"
        package = "pycrypto"
        until = {until}
        reason = "ElGamal is not used."
    """
    (root / "tests/audit/accepted.toml").write_text(entry if until else "")


def add_lock(root: Path, pin: str = "pycrypto==2.6.1") -> None:
    (root / "lambda").mkdir()
    (root / "lambda/requirements-arm64.txt").write_text(PIN.format(pin))


def test_a_known_vulnerability_fails_the_audit(
    root: Path, osv: Osv, capsys: pytest.CaptureFixture[str]
) -> None:
    """In whichever lock it is, by a name under which others find it."""
    add_lock(root)
    assert main(root, osv.url) == 1
    printed = capsys.readouterr().out
    assert "lambda/requirements-arm64.txt: pycrypto 2.6.1: CVE-2018-6594 " in printed
    assert "OSV was asked about 3 packages in 3 locks: 1 to be mended." in printed


def test_where_nothing_is_known_that_is_said(
    root: Path, osv: Osv, capsys: pytest.CaptureFixture[str]
) -> None:
    """With how many packages were asked about."""
    assert main(root, osv.url) == 0
    assert "OSV was asked about 2 packages in 2 locks: 0 to be mended." in capsys.readouterr().out


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)], ids=["here", "ci"])
@pytest.mark.parametrize("answers", [None, 500], ids=["nobody", "an error"])
def test_no_answer_is_not_taken_for_a_good_one(  # noqa: PLR0913, PLR0917 - four of them are fixtures
    root: Path,
    osv: Osv,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answers: int | None,
    ci: str,
    status: int,
) -> None:
    """It is said that nothing is known, and where CI is, it is a failure."""
    monkeypatch.setenv("CI", ci)
    osv.status[0] = answers or 200
    assert main(root, osv.url if answers else NOBODY) == status
    printed = capsys.readouterr().out
    assert "NOT AUDITED" in printed
    assert "to be mended" not in printed


def test_a_package_that_is_passed_over_is_an_answer_that_is_missing(root: Path, osv: Osv) -> None:
    """What has no version cannot be asked about."""
    url = "https://example.com/pycrypto.tar.gz"
    (root / "requirements.txt").write_text(PIN.format(url))
    with pytest.raises(service.Unasked, match=r"requirements\.txt: could not deduce"):
        service.ask(root, osv.url)


@pytest.mark.parametrize("vulnerability", ["PYSEC-2018-97", "CVE-2018-6594"])
def test_what_is_accepted_passes_and_is_printed(
    root: Path, osv: Osv, capsys: pytest.CaptureFixture[str], vulnerability: str
) -> None:
    """With its reason and its day, by any of its names."""
    add_lock(root)
    accept(root, vulnerability, until="9999-12-31")
    assert main(root, osv.url) == 0
    accepted = f"pycrypto: {vulnerability} until 9999-12-31: ElGamal is not used."
    assert accepted in capsys.readouterr().out


def test_what_is_accepted_is_looked_at_again(
    root: Path, osv: Osv, capsys: pytest.CaptureFixture[str]
) -> None:
    """After its day it fails."""
    add_lock(root)
    accept(root, until="2026-01-31")
    assert main(root, osv.url) == 1
    assert "was accepted until 2026-01-31: look again" in capsys.readouterr().out


def test_what_is_accepted_and_gone_is_taken_out(
    root: Path, osv: Osv, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list stays as long as what it is about."""
    accept(root, until="9999-12-31")
    assert main(root, osv.url) == 1
    assert "is accepted and not found any more" in capsys.readouterr().out


def test_every_lock_is_asked_about() -> None:
    """Those that `make lock` writes; a new one needs no word here."""
    written = set(re.findall(r"-o (\S+)", (ROOT / "Makefile").read_text()))
    assert {str(lock.relative_to(ROOT)) for lock in service.locks(ROOT)} >= written


def test_the_bill_lists_what_ships(root: Path) -> None:
    """Each package of the lock at its version, with the hashes that it is installed by."""
    for lock in bill.BILLS:
        shutil.copy(ROOT / lock, root / lock)
    for path, lock in zip(bill.write(root), bill.BILLS, strict=True):
        written = json.loads(path.read_text())
        components = {part["name"]: part for part in written["components"]}
        pins = re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)", (ROOT / lock).read_text(), re.MULTILINE)
        assert len(pins) > 20
        assert {name: part["version"] for name, part in components.items()} == dict(pins)
        for part in components.values():
            (reference,) = part["externalReferences"]
            assert reference["hashes"]
        assert written["metadata"]["component"]["name"] == "task-tracker"
        first = path.read_bytes()
        bill.write(root)
        assert path.read_bytes() == first


def test_the_reasons_for_what_checkov_leaves_out_are_printed(
    root: Path, osv: Osv, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the place of each."""
    (root / "table.tf").write_text("  #checkov:skip=CKV_AWS_119:the key that AWS owns is free\n")
    main(root, osv.url)
    assert "table.tf: CKV_AWS_119: the key that AWS owns is free" in capsys.readouterr().out
