"""The GitHub workflows: permissions, pinned actions, and their scripts, run as on a runner."""

import json
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

from api.local.processes import ROOT
from tests.support.require_tool import require_tool

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
    for job, definition in JOBS.items()
    for step in definition["steps"]
    if "run" in step
}
ALL_SCRIPTS = "\n".join(SCRIPTS.values())
# YAML 1.1 reads the key `on` as true.
ON = True

each_workflow = pytest.mark.parametrize("name", TEXTS)
each_job = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
each_script = pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)


def run(script: str, *, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does, with only PATH and the given variables in its environment."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@each_workflow
def test_a_workflow_grants_no_permissions(name: str) -> None:
    """Each job requests its own."""
    assert WORKFLOWS[name]["permissions"] == {}


@each_workflow
def test_a_failure_before_a_pipe_is_noticed(name: str) -> None:
    """GitHub runs a step with pipefail only if its shell is named."""
    assert WORKFLOWS[name]["defaults"]["run"]["shell"] == "bash"


@each_job
def test_a_job_has_few_write_permissions(job: dict[str, Any]) -> None:
    """Only for an OIDC token, for attestations, and for comments on pull requests."""
    writes = {name for name, level in job["permissions"].items() if level != "read"}
    assert writes <= {"attestations", "id-token", "pull-requests"}


@each_workflow
def test_every_action_is_pinned_by_commit(name: str) -> None:
    """A tag can be moved to another commit. The version is a comment, which Dependabot updates."""
    uses = re.findall(r"uses: (.*)", TEXTS[name])
    for action in uses:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
    assert len(uses) == sum("uses" in step for job in jobs(name) for step in job["steps"])


def test_all_workflows_use_the_same_versions() -> None:
    """Of each action and of Terraform."""
    text = "\n".join(TEXTS.values())
    pins = set(re.findall(r"uses: (\S+)@(\S+)", text))
    assert len(pins) == len({action for action, _ in pins})
    assert len(set(re.findall(r"terraform_version: (\S+)", text))) == 1


@each_job
def test_checkout_does_not_store_the_token(job: dict[str, Any]) -> None:
    """Later steps of the job could read it from the clone."""
    for step in job["steps"]:
        if "actions/checkout@" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@each_workflow
def test_no_workflow_uses_aws_access_keys(name: str) -> None:
    """Jobs assume a role with a token from GitHub instead."""
    assert not re.search(r"aws-(access-key-id|secret-access-key)|secrets\.AWS", TEXTS[name])


def actions(job: dict[str, Any]) -> list[str]:
    return [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]


@each_job
def test_only_trusted_jobs_assume_a_role(job: dict[str, Any]) -> None:
    """Jobs of a GitHub environment or of main, and pull requests that people open from here.

    Without a role, an OIDC token is only for attestations.
    """
    if "aws-actions/configure-aws-credentials" in actions(job):
        same = "github.event.pull_request.head.repo.full_name == github.repository"
        person = "github.event.pull_request.user.login != 'dependabot[bot]'"
        condition = job.get("if", "")
        main = condition.startswith("github.ref == 'refs/heads/main'")
        assert "environment" in job or main or (same in condition and person in condition)
        assert "||" not in condition
    elif job["permissions"].get("id-token") == "write":
        assert job["permissions"]["attestations"] == "write"


@each_job
def test_a_job_with_a_role_runs_few_actions(job: dict[str, Any]) -> None:
    """Only those of GitHub, AWS and HashiCorp; what builds images has no role."""
    if "aws-actions/configure-aws-credentials" in actions(job):
        owners = {action.partition("/")[0] for action in actions(job)}
        assert owners <= {"actions", "aws-actions", "hashicorp"}


@pytest.mark.parametrize("name", ["deploy.yml", "drift.yml", "preview.yml"])
def test_a_fresh_clone_skips_what_needs_an_account(name: str) -> None:
    """Until the variables are set, the first jobs are skipped, and so are those that need them."""
    for job in jobs(name):
        assert "needs" in job or re.search(r"vars\.\w+ != ''", job["if"])


@pytest.mark.parametrize("name", ["deploy.yml", "destroy.yaml"])
def test_a_workflow_offers_the_environments(name: str) -> None:
    """Each has a file with variables, from which also the key of its state follows."""
    offered = WORKFLOWS[name][ON]["workflow_dispatch"]["inputs"]["environment"]
    files = (ROOT / "terraform/environments").glob("*.tfvars")
    assert set(offered["options"]) == {file.stem for file in files if "." not in file.stem}
    assert offered["default"] == "production"


def first_deployment() -> str:
    text = (ROOT / "docs/operations.md").read_text()
    return text.partition("## First deployment\n")[2].partition("\n## ")[0]


def test_the_first_deployment_sets_all_that_workflows_read() -> None:
    """Each variable and secret, the optional ones too."""
    read = set(re.findall(r"(?:vars|secrets)\.(\w+)", "\n".join(TEXTS.values())))
    read |= set(re.findall(r"repository: (\w+_REPOSITORY)", TEXTS["deploy.yml"]))
    assert {name for name in read if name not in first_deployment()} == set()


def test_github_prints_the_variables_of_the_bootstrap() -> None:
    """The documented command writes each variable that has no default, but the region."""
    require_tool("jq", "jq")
    (program,) = re.findall(r"gh api \"repos/\$REPO\" --jq '(.*?)'", first_deployment(), re.DOTALL)
    repository = {"id": 1296269, "name": "tracker", "owner": {"id": 583231, "login": "octocat"}}
    done = subprocess.run(
        ["jq", "-r", program],
        input=json.dumps(repository),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        'github_owner = "octocat"',
        'github_owner_id = "583231"',
        'github_repository = "tracker"',
        'github_repository_id = "1296269"',
    ]
    variables = (ROOT / "terraform/bootstrap/variables.tf").read_text()
    blocks = re.findall(r'^variable "(\w+)" \{(.*?)^\}', variables, re.MULTILINE | re.DOTALL)
    required = {name for name, text in blocks if not re.search(r"(?m)^  default ", text)}
    assert {line.partition(" ")[0] for line in done.stdout.splitlines()} | {"region"} == required


@pytest.mark.parametrize(
    ("status", "error"),
    [(0, ""), (1, ""), (2, "::error::Production differs from main")],
    ids=["no-drift", "no-plan", "drift"],
)
def test_the_weekly_run_fails_with_the_plan_if_there_is_drift(
    tmp_path: Path, status: int, error: str
) -> None:
    """Also if there is no plan, which is no drift."""
    (tmp_path / "terraform/environments").mkdir(parents=True)
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\necho the plan of $*\nexit {status}\n")
    python.chmod(0o755)
    done = run(
        SCRIPTS["drift.yml: drift: Compare production with main"],
        cwd=tmp_path,
        RUNNER_TEMP=str(tmp_path),
        GITHUB_STEP_SUMMARY=str(tmp_path / "summary"),
        SETTINGS="rate_limit = 20",
    )
    assert done.returncode == status
    assert error in done.stdout
    assert (tmp_path / "summary").exists() == (status == 2)
    settings = tmp_path / "terraform/environments/production.local.tfvars"
    assert settings.read_text() == "rate_limit = 20\n"


def test_a_deployment_waits_for_its_gate() -> None:
    """Protection of the environment and ci of the commit come before build and role."""
    workflow = WORKFLOWS["deploy.yml"]["jobs"]
    assert (workflow["build"]["needs"], workflow["deploy"]["needs"]) == ("gate", "build")
    gate = "\n".join(step.get("run", "") for step in workflow["gate"]["steps"])
    assert 'check_environment.sh "$ENVIRONMENT"' in gate
    assert 'wait_for_ci.sh "$GITHUB_SHA"' in gate
    assert "attest-build-provenance" in "".join(actions(workflow["build"]))


@each_script
def test_a_script_is_valid_and_reads_values_from_its_environment(script: str) -> None:
    """Values interpolated with ${{ }} would be executed as part of the script."""
    assert "${{" not in script
    parsed = subprocess.run(
        ["bash", "-n"], input=script, capture_output=True, text=True, check=False
    )
    assert (parsed.returncode, parsed.stderr) == (0, "")


def test_everything_that_scripts_refer_to_exists() -> None:
    """Targets of make, scripts, Terraform roots and their variables."""
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


def test_ci_installs_the_packages_of_ci_run() -> None:
    """On a GitHub runner .ci/run is not root and cannot install packages."""
    # Chrome stands in for Chromium.
    preinstalled = {"openjdk-17-jre-headless", "curl", "jq", "chromium", "runc"}
    needed = set(re.findall(r"missing\+=\((\S+)\)", (ROOT / ".ci/run").read_text()))
    installed = SCRIPTS["ci.yml: test: Install missing packages"].split()
    assert needed - preinstalled <= set(installed)


@pytest.mark.parametrize(
    ("root", "caller", "settings"),
    [
        ("terraform", TEXTS["deploy.yml"], {"region", "api_cidrs", "api_image", "grafana_image"}),
        ("terraform", (ROOT / "terraform/scripts/stack.py").read_text(), {"region"}),
        ("terraform/preview", TEXTS["preview.yml"], set()),
    ],
    ids=["deploy", "destroy", "preview"],
)
def test_every_required_variable_is_set(root: str, caller: str, settings: set[str]) -> None:
    """By the workflow, by stack.py, or by the variable SETTINGS of the environment."""
    blocks = re.findall(
        r'^variable "(\w+)" \{(.*?)^\}',
        "\n".join(file.read_text() for file in (ROOT / root).glob("*.tf")),
        re.MULTILINE | re.DOTALL,
    )
    required = {
        name for name, block in blocks if not re.search(r"^  default ", block, re.MULTILINE)
    }
    given = re.findall(r'TF_VAR_(\w+)(?:: |=\$|": )|-var "(\w+)=|"(\w+)": ', caller)
    named = settings | {"".join(match) for match in given}
    # Secrets that a loop generates.
    for loop in re.findall(r"for name in (.*); do", caller):
        named |= set(loop.split())
    assert required <= named


def test_a_destroy_is_started_only_by_hand() -> None:
    """It needs a confirmation, keeps the table by default and never touches the bootstrap."""
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
        ("ada/task-tracker production", 0),
        ("ada/task-tracker dev", 1),
        ("ada/task-tracker", 1),
        ("", 1),
        ("task-tracker production", 1),
        ("ada/* *", 1),
        ("ADA/TASK-TRACKER PRODUCTION", 1),
        ('" == "" || true; #', 1),
    ],
)
def test_a_destroy_needs_the_exact_name(typed: str, status: int) -> None:
    """Of repository and environment. It is never read as a pattern or as a command."""
    script = SCRIPTS["destroy.yaml: confirm: Check the confirmation"]
    done = run(
        script,
        CONFIRMATION=typed,
        ENVIRONMENT="production",
        GITHUB_REPOSITORY="ada/task-tracker",
    )
    assert (done.returncode, "Nothing was destroyed" in done.stdout) == (status, status == 1)


def test_an_environment_is_changed_by_one_run_at_a_time() -> None:
    """Deployments and destroys wait for each other and are never cancelled."""
    for name in ("deploy.yml", "destroy.yaml"):
        assert WORKFLOWS[name]["concurrency"] == {
            "group": "${{ inputs.environment || 'production' }}",
            "cancel-in-progress": False,
        }


def test_generated_secrets_are_masked(tmp_path: Path) -> None:
    """They are long, differ from each other, and GitHub hides them in logs."""
    file = tmp_path / "env"
    done = run(SCRIPTS["deploy.yml: deploy: Generate secrets"], GITHUB_ENV=str(file))
    written = dict(re.findall(r"^TF_VAR_(\w+)=([0-9a-f]{64})$", file.read_text(), re.MULTILINE))
    assert set(written) == {"cursor_secret", "grafana_admin_password"}
    assert len(set(written.values())) == 2
    assert done.stdout.splitlines() == [f"::add-mask::{secret}" for secret in written.values()]


def test_the_bootstrap_key_of_a_preview_is_masked(tmp_path: Path) -> None:
    """Each run has a new one. The comment has the command that reads it, not the key."""
    file = tmp_path / "env"
    script = SCRIPTS["preview.yml: preview: Generate a bootstrap key"]
    keys = []
    for _ in range(2):
        done = run(script, GITHUB_ENV=str(file))
        (written,) = re.findall(r"^TF_VAR_bootstrap_key=(tt_\w+)$", file.read_text(), re.MULTILINE)
        assert done.stdout == f"::add-mask::{written}\n"
        keys.append(written)
        file.unlink()
    assert keys[0] != keys[1]
    deploy = SCRIPTS["preview.yml: preview: Deploy the preview"]
    assert "bootstrap_key" not in deploy
    assert "get-function-configuration" in deploy


def test_a_deployment_without_settings_is_refused(tmp_path: Path) -> None:
    """Otherwise it would close what the settings open. With them, Terraform reads exactly those."""
    script = SCRIPTS["deploy.yml: deploy: Write the settings of the environment"]
    (tmp_path / "terraform/environments").mkdir(parents=True)
    refused = run(script, cwd=tmp_path, ENVIRONMENT="production", SETTINGS="")
    assert (refused.returncode, "Set the variable SETTINGS" in refused.stdout) == (1, True)
    lines = 'api_cidrs = ["203.0.113.7/32"]\ndocs = "off"'
    assert run(script, cwd=tmp_path, ENVIRONMENT="dev", SETTINGS=lines).returncode == 0
    written = tmp_path / "terraform/environments/dev.local.tfvars"
    assert written.read_text() == lines + "\n"


def programs(directory: Path, **scripts: str) -> str:
    """Write programs that shadow those of the system, and return the PATH that does so."""
    for name, script in scripts.items():
        program = directory / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return f'PATH="{directory}:$PATH"; '


def test_images_are_deployed_by_the_digests_that_were_pushed(tmp_path: Path) -> None:
    """Each image has its own repository, and a tag that names the run and the attempt."""
    path = programs(
        tmp_path,
        aws="echo password",
        skopeo="""case $1 in
login) cat > /dev/null; echo "$@" ;;
copy) echo "$6 $7"; echo "sha256:$(basename "$6" .tar)" > "$5" ;;
esac""",
    )
    done = run(
        path + SCRIPTS["deploy.yml: deploy: Push the images"],
        API_REPOSITORY="1.dkr.ecr/tracker/api",
        GRAFANA_REPOSITORY="1.dkr.ecr/tracker/grafana",
        GITHUB_ENV=str(tmp_path / "env"),
        GITHUB_RUN_ATTEMPT="2",
        GITHUB_RUN_ID="7",
        GITHUB_SHA="abc",
        RUNNER_TEMP=str(tmp_path),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "login --username AWS --password-stdin 1.dkr.ecr",
        f"oci-archive:{tmp_path}/images/api.tar docker://1.dkr.ecr/tracker/api:abc-7-2",
        f"oci-archive:{tmp_path}/images/grafana.tar docker://1.dkr.ecr/tracker/grafana:abc-7-2",
    ]
    assert (tmp_path / "env").read_text().splitlines() == [
        "TF_VAR_api_image=1.dkr.ecr/tracker/api@sha256:api",
        "TF_VAR_grafana_image=1.dkr.ecr/tracker/grafana@sha256:grafana",
    ]


BRANCHES = {"branch_policies": [{"name": "main"}]}
LIMITED = {
    "deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True},
    "protection_rules": [{"type": "required_reviewers", "reviewers": [{"type": "User"}]}],
}


@pytest.mark.parametrize(
    ("environment", "branches", "reviewers", "refusal"),
    [
        (LIMITED, BRANCHES, "", None),
        (LIMITED | {"protection_rules": []}, BRANCHES, "", "no reviewers"),
        (LIMITED | {"protection_rules": []}, BRANCHES, "off", None),
        (LIMITED | {"deployment_branch_policy": None}, BRANCHES, "off", "every branch"),
        (LIMITED, {"branch_policies": [{"name": "main"}, {"name": "*"}]}, "", 'branches "main *"'),
        (LIMITED, {"branch_policies": []}, "", 'branches ""'),
        (None, BRANCHES, "", "does not exist"),
    ],
    ids=["limited", "unreviewed", "allowed", "open", "wide", "none", "missing"],
)
def test_an_unprotected_environment_is_refused(
    environment: dict[str, Any] | None,
    branches: dict[str, Any],
    reviewers: str,
    refusal: str | None,
    tmp_path: Path,
) -> None:
    """It must exist, admit main only, and have reviewers if the repository can."""
    require_tool("jq", "jq")
    (tmp_path / "production").write_text("" if environment is None else json.dumps(environment))
    (tmp_path / "deployment-branch-policies").write_text(json.dumps(branches))
    path = programs(
        tmp_path, gh=f'file={tmp_path}/$(basename "$2"); [ -s "$file" ] && jq -r "$4" "$file"'
    )
    done = run(
        f"{path} bash .github/scripts/check_environment.sh production",
        GITHUB_REPOSITORY="ada/tracker",
        REQUIRED_REVIEWERS=reviewers,
    )
    if refusal:
        assert (done.returncode, refusal in done.stdout) == (1, True), done.stdout
    else:
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize(
    ("runs", "status", "printed"),
    [
        (["", "in_progress null", "completed success"], 0, "passed"),
        (["queued null", "completed failure"], 1, "ended with failure"),
        (["completed cancelled"], 1, "ended with cancelled"),
    ],
    ids=["passes", "fails", "cancelled"],
)
def test_a_deployment_needs_a_successful_ci(
    runs: list[str], status: int, printed: str, tmp_path: Path
) -> None:
    """It waits while ci of its commit runs, also before it has begun, and fails with it."""
    require_tool("jq", "jq")
    for number, text in enumerate(runs):
        state, _, conclusion = text.partition(" ")
        run_of_ci = {"status": state, "conclusion": None if conclusion == "null" else conclusion}
        listed = json.dumps({"workflow_runs": [run_of_ci] if text else []})
        (tmp_path / f"{number}.json").write_text(listed)
    path = programs(
        tmp_path,
        gh=f"cd {tmp_path}; n=$(cat next 2>/dev/null || echo 0); echo $((n + 1)) > next; "
        'echo "$2" > requested; jq -r "$4" "$n.json"',
    )
    done = run(
        f"{path} bash .github/scripts/wait_for_ci.sh abc",
        GITHUB_REPOSITORY="ada/tracker",
        POLL_SECONDS="0",
    )
    assert (done.returncode, printed in done.stdout, done.stderr) == (status, True, "")
    assert "ci.yml/runs?head_sha=abc" in (tmp_path / "requested").read_text()


@pytest.fixture
def deployed() -> Iterator[tuple[str, dict[str, int]]]:
    """Provide the URL of a stub of the API, and a table of its statuses that tests can change."""
    statuses = {"/livez": 200, "/readyz": 200}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", statuses
        server.shutdown()


def run_smoke(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = f"bash .github/scripts/smoke.sh {url}"
    return run(script, cwd=ROOT, RETRIES="0", CONNECT_SECONDS="1", **environment)


def test_smoke_passes_if_the_api_is_ready(deployed: tuple[str, dict[str, int]]) -> None:
    """It prints each URL that it checked."""
    url, _ = deployed
    done = run_smoke(url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{url}/livez: ok\n{url}/readyz: ok\n"


def test_smoke_fails_if_the_api_is_not_ready(deployed: tuple[str, dict[str, int]]) -> None:
    """A 503 from /readyz is a failure, even if /livez returns 200."""
    url, statuses = deployed
    statuses["/readyz"] = 503
    done = run_smoke(url)
    assert done.returncode != 0
    assert "503" in done.stderr


def test_smoke_fails_if_the_connection_is_refused() -> None:
    """Only a dropped connection can be the work of a security group."""
    assert run_smoke("http://127.0.0.1:1").returncode != 0


def test_smoke_warns_if_the_connection_is_dropped(tmp_path: Path) -> None:
    """It passes, and the summary of the run says that the API was not checked."""
    with socket.socket() as closed, ExitStack() as waiting:
        closed.bind(("127.0.0.1", 0))
        # Once its queue is full, the kernel drops further connections.
        closed.listen(0)
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.settimeout(0)
            client.connect_ex(closed.getsockname())
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = run_smoke(url, GITHUB_STEP_SUMMARY=str(tmp_path / "summary"))
    assert done.returncode == 0
    assert done.stdout.startswith(f"::warning::{url} was not checked")
    assert "was not checked" in (tmp_path / "summary").read_text()


@pytest.mark.parametrize(
    ("earlier", "request_sent"),
    [
        ("", "--method POST repos/ada/tracker/issues/42/comments"),
        ("7\n9", "--method PATCH repos/ada/tracker/issues/comments/7"),
    ],
    ids=["first", "later"],
)
def test_a_preview_has_one_comment(earlier: str, request_sent: str, tmp_path: Path) -> None:
    """The first run creates it, later runs update it."""
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
