"""The workflows: what they may do, what they call, and the scripts in them, run as on a runner."""

import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.processes import ROOT

FILES = sorted((ROOT / ".github/workflows").iterdir())
TEXTS = {file.name: file.read_text() for file in FILES}
WORKFLOWS: dict[str, Any] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
JOBS = {
    f"{name}: {job}": WORKFLOWS[name]["jobs"][job]
    for name in TEXTS
    for job in WORKFLOWS[name]["jobs"]
}
SCRIPTS = {
    f"{job}: {step.get('name', step['run'])}": step["run"]
    for job, does in JOBS.items()
    for step in does["steps"]
    if "run" in step
}
ALL_SCRIPTS = "\n".join(SCRIPTS.values())
# YAML 1.1 reads the key `on` as true.
ON = True

each_workflow = pytest.mark.parametrize("name", TEXTS)
each_job = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
each_script = pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does, with nothing in the environment but what is given."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@each_workflow
def test_nothing_is_permitted_at_the_top(name: str) -> None:
    """Each job says for itself what it may do."""
    assert WORKFLOWS[name]["permissions"] == {}


@each_job
def test_a_job_may_read_and_little_else(job: dict[str, Any]) -> None:
    """Writing is for the two tokens that are asked for with a reason: a role's, and a comment's."""
    writes = {scope for scope, level in job["permissions"].items() if level != "read"}
    assert writes <= {"id-token", "pull-requests"}


@each_workflow
def test_every_action_is_pinned_by_commit(name: str) -> None:
    """A tag can be moved to another commit; the version is for people, and for Dependabot."""
    uses = re.findall(r"uses: (.*)", TEXTS[name])
    for action in uses:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
    assert len(uses) == sum("uses" in step for job in jobs(name) for step in job["steps"])


def test_one_version_of_each_action_and_of_terraform() -> None:
    """What was tried in one workflow is what runs in the others."""
    text = "\n".join(TEXTS.values())
    pins = set(re.findall(r"uses: (\S+)@(\S+)", text))
    assert len(pins) == len({action for action, _ in pins})
    assert len(set(re.findall(r"terraform_version: (\S+)", text))) == 1


@each_job
def test_no_token_stays_in_the_clone(job: dict[str, Any]) -> None:
    """Whatever runs later in the job could read it there."""
    for step in job["steps"]:
        if "actions/checkout@" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@each_workflow
def test_there_are_no_keys_of_aws(name: str) -> None:
    """A job takes a role for its GitHub token, for as long as it runs."""
    assert not re.search(r"aws-(access-key-id|secret-access-key)|secrets\.AWS", TEXTS[name])


@each_job
def test_a_role_is_taken_only_where_somebody_is_trusted(job: dict[str, Any]) -> None:
    """By what the environment approves, or by a pull request from a branch of this repository."""
    if job["permissions"].get("id-token") == "write":
        same = "github.event.pull_request.head.repo.full_name == github.repository"
        assert job.get("environment") == "production" or job["if"] == same


@each_script
def test_a_script_is_bash_and_takes_values_from_its_environment(script: str) -> None:
    """What is interpolated into a script is run by it, whoever wrote it."""
    assert "${{" not in script
    parsed = subprocess.run(
        ["bash", "-n"], input=script, capture_output=True, text=True, check=False
    )
    assert (parsed.returncode, parsed.stderr) == (0, "")


def test_what_the_scripts_call_is_there() -> None:
    """The targets of make, the project's own scripts, Terraform's roots and their variables."""
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([\w-]+)", ALL_SCRIPTS + (ROOT / ".ci/run").read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    paths = re.findall(r"(?:bash|python3?\"?) ([\w./-]+/[\w./-]+)", ALL_SCRIPTS)
    roots = re.findall(r"-chdir=(\S+)", ALL_SCRIPTS)
    files = [f"terraform/{path}" for path in re.findall(r"-var-file=(\S+)", ALL_SCRIPTS)]
    assert {".ci/run", ".github/scripts/smoke.sh", "terraform/scripts/addresses.py"} <= set(paths)
    for path in [*paths, *roots, *files]:
        assert (ROOT / path).exists(), path
    text = "\n".join(file.read_text() for root in set(roots) for file in (ROOT / root).glob("*.tf"))
    for variable in re.findall(r"TF_VAR_(\w+): |-var \"?(\w+)=", "\n".join(TEXTS.values())):
        assert f'variable "{"".join(variable)}"' in text


def test_ci_installs_what_the_runner_lacks() -> None:
    """There .ci/run is not root, and can install nothing itself."""
    on_the_runner = {"openjdk-17-jre-headless", "npm", "curl"}
    wanted = set(re.findall(r"missing\+=\((\S+)\)", (ROOT / ".ci/run").read_text()))
    installed = SCRIPTS["ci.yml: test: Install what the runner lacks"].split()
    assert wanted - on_the_runner <= set(installed)


@pytest.mark.parametrize("root", ["terraform", "terraform/preview"])
def test_every_variable_without_a_default_is_given(root: str) -> None:
    """By an environment file, by the workflow's environment or on the command line."""
    blocks = re.findall(
        r'^variable "(\w+)" \{(.*?)^\}',
        "\n".join(file.read_text() for file in (ROOT / root).glob("*.tf")),
        re.MULTILINE | re.DOTALL,
    )
    wanted = {name for name, block in blocks if not re.search(r"^  default ", block, re.MULTILINE)}
    callers = {"terraform": ["deploy.yml", "destroy.yaml"], "terraform/preview": ["preview.yml"]}
    environment = (ROOT / "terraform/environments/prod.tfvars").read_text()
    for name in callers[root]:
        given = set(re.findall(r'TF_VAR_(\w+)(?:: |=\$)|-var "(\w+)=', TEXTS[name]))
        named = {"".join(match) for match in given}
        named |= set(re.findall(r"^(\w+) +=", environment, re.MULTILINE))
        # Those that are made anew, in a loop.
        for loop in re.findall(r"for name in (.*); do", TEXTS[name]):
            named |= set(loop.split())
        assert wanted <= named, name


def test_a_destroy_is_started_by_hand_alone() -> None:
    """And its jobs wait for the one that reads the confirmation."""
    workflow = WORKFLOWS["destroy.yaml"]
    assert list(workflow[ON]) == ["workflow_dispatch"]
    inputs = workflow[ON]["workflow_dispatch"]["inputs"]
    assert inputs["confirmation"]["required"] is True
    assert inputs["delete_table"]["default"] is False
    assert workflow["jobs"]["destroy"]["needs"] == "confirm"
    assert "bootstrap" not in "".join(step.get("run", "") for step in steps("destroy.yaml")[:-1])


@pytest.mark.parametrize(
    ("typed", "status"),
    [
        ("ada/task-tracker", 0),
        ("", 1),
        ("task-tracker", 1),
        ("ada/*", 1),
        ("ADA/TASK-TRACKER", 1),
        ('" == "" || true; #', 1),
    ],
)
def test_a_destroy_needs_the_name_typed_out(typed: str, status: int) -> None:
    """Letter by letter, and never as a pattern or as a command."""
    script = SCRIPTS["destroy.yaml: confirm: Compare the confirmation"]
    done = run(script, CONFIRMATION=typed, GITHUB_REPOSITORY="ada/task-tracker")
    assert (done.returncode, "Nothing was destroyed" in done.stdout) == (status, status == 1)


def test_production_is_changed_by_one_at_a_time() -> None:
    """Neither a deployment nor a destroy is cut short by the next."""
    for name in ("deploy.yml", "destroy.yaml"):
        assert WORKFLOWS[name]["concurrency"] == {
            "group": "production",
            "cancel-in-progress": False,
        }


def test_secrets_are_masked_before_anything_can_print_them(tmp_path: Path) -> None:
    """They differ, they are long, and the log never shows them."""
    file = tmp_path / "env"
    done = run(SCRIPTS["deploy.yml: deploy: Make secrets"], GITHUB_ENV=str(file))
    written = dict(re.findall(r"^TF_VAR_(\w+)=([0-9a-f]{64})$", file.read_text(), re.MULTILINE))
    assert set(written) == {"cursor_secret", "grafana_admin_password"}
    assert len(set(written.values())) == 2
    assert done.stdout.splitlines() == [f"::add-mask::{secret}" for secret in written.values()]


def test_a_preview_gets_a_key_that_nobody_sees(tmp_path: Path) -> None:
    """Masked, and another one in each run; the comment says how to read it, no more."""
    file = tmp_path / "env"
    script = SCRIPTS["preview.yml: preview: Make a bootstrap key"]
    keys = []
    for _ in range(2):
        done = run(script, GITHUB_ENV=str(file))
        (written,) = re.findall(r"^TF_VAR_bootstrap_key=(tt_\w+)$", file.read_text(), re.MULTILINE)
        assert done.stdout == f"::add-mask::{written}\n"
        keys.append(written)
        file.unlink()
    assert keys[0] != keys[1]
    assert "bootstrap_key" not in SCRIPTS["preview.yml: preview: Up"]
    assert "get-function-configuration" in SCRIPTS["preview.yml: preview: Up"]


@pytest.fixture
def deployed() -> Iterator[tuple[str, dict[str, int]]]:
    """Serve what a deployed API answers; a test changes it."""
    answers = {"/livez": 200, "/readyz": 200}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answers[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", answers
        server.shutdown()


def smoke(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = f"bash .github/scripts/smoke.sh {url}"
    return run(script, RETRIES="0", CONNECT_SECONDS="1", **environment)


def test_the_smoke_passes_on_an_api_that_is_ready(deployed: tuple[str, dict[str, int]]) -> None:
    """And says what it asked."""
    url, _ = deployed
    done = smoke(url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{url}/livez answers\n{url}/readyz answers\n"


def test_the_smoke_fails_without_the_table(deployed: tuple[str, dict[str, int]]) -> None:
    """An API that lives and is not ready is no success."""
    url, answers = deployed
    answers["/readyz"] = 503
    done = smoke(url)
    assert done.returncode != 0
    assert "503" in done.stderr


def test_the_smoke_fails_where_nothing_listens(deployed: tuple[str, dict[str, int]]) -> None:
    """A refused connection is not one that a security group drops."""
    url, _ = deployed
    assert smoke(url.rpartition(":")[0] + ":1").returncode != 0


def test_the_smoke_warns_where_it_is_not_let_in(tmp_path: Path) -> None:
    """Connections that are dropped say nothing about the API, and the summary says that."""
    with socket.socket() as closed, ExitStack() as waiting:
        closed.bind(("127.0.0.1", 0))
        # Once one connection waits to be accepted, the kernel drops the next ones.
        closed.listen(0)
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.settimeout(0)
            client.connect_ex(closed.getsockname())
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = smoke(url, GITHUB_STEP_SUMMARY=str(tmp_path / "summary"))
    assert done.returncode == 0
    assert done.stdout.startswith(f"::warning::{url} lets no connection")
    assert "not tried from outside" in (tmp_path / "summary").read_text()


@pytest.mark.parametrize(
    ("earlier", "request_sent"),
    [
        ("", "--method POST repos/ada/tracker/issues/42/comments"),
        ("7\n9", "--method PATCH repos/ada/tracker/issues/comments/7"),
    ],
    ids=["first", "later"],
)
def test_a_preview_has_one_comment(earlier: str, request_sent: str, tmp_path: Path) -> None:
    """Written once, and changed from then on."""
    gh = tmp_path / "gh"
    gh.write_text(f"#!/bin/sh\ncase $2 in --paginate) printf '{earlier}';; *) echo \"$@\";; esac\n")
    gh.chmod(0o755)
    done = run(
        f'PATH="{tmp_path}:$PATH"; bash .github/scripts/comment.sh 42 "It is up."',
        GITHUB_REPOSITORY="ada/tracker",
    )
    sent = f"api --silent {request_sent} --raw-field body=<!-- preview -->\nIt is up.\n"
    assert (done.returncode, done.stdout) == (0, sent)


def jobs(name: str) -> list[dict[str, Any]]:
    return list(WORKFLOWS[name]["jobs"].values())


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in jobs(name) for step in job["steps"]]
