"""docs/operations.md: its first deployment, from git clone to a task and a destroy, as written.

bash runs the commands. Git, make, Terraform and the scripts are real, and moto is AWS. GitHub,
Docker and the AWS CLI have stand-ins. ECS runs nothing on moto: the API is served here, at the
address that moto gives to its ECS task, with the container's environment.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from api.local.processes import ROOT
from api.main import create_app
from api.serving.server import uvicorn_config
from tests.infra import terraform
from tests.infra.conftest import MOTO_BACKEND, Aws, ecs_task, left_over, task_definition
from tests.infra.stack_test import container_environment
from tests.infra.terraform import Terraform, plain
from tests.support import builders
from tests.support.require_tool import require_tool
from tests.support.server import running

TEXT = (ROOT / "docs/operations.md").read_text()
DONE = "the block has ended"
OUTPUT_LENGTH = 4000
MAX_AWS_ONLY = 10
DIGEST = "sha256:" + "a" * 64
GITHUB = '{"id": 2, "name": "tracker", "owner": {"id": 1, "login": "octocat"}}'
# In the place of the programs, for what the commands call.
STAND_INS = {
    "gh": f"""
if [[ $2 == repos/octocat/tracker ]]; then jq -r "$4" <<< '{GITHUB}'; fi
echo "gh $*" >> "$HOME/gh.log" """,
    "docker": ":",
    "aws": f"""
if [[ $2 == describe-images ]]; then echo {DIGEST}; else echo password; fi""",
    # What `make run-venv` does takes minutes, and other tests show it.
    "make": f"""
if [[ $* == run-venv ]]; then ln -s {ROOT}/.venv .venv; else exec /usr/bin/make "$@"; fi""",
}


def section(title: str) -> str:
    return re.split(r"\n##+ ", TEXT.partition(f"# {title}\n")[2])[0]


def blocks(title: str) -> list[str]:
    """Return the commands of a section, a text for each block."""
    found = re.findall(r"^( *)```\n(.*?)^ *```", section(title), re.MULTILINE | re.DOTALL)
    return [
        "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))
        for indent, text in found
    ]


class Shell:
    """One bash for all blocks, which ends at the first command that fails."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "-eo", "pipefail"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, block: str) -> str:
        """Run a block, and return its output."""
        self._pipe(self._process.stdin).write(f"{block}\necho; echo {DONE}\n")
        self._pipe(self._process.stdin).flush()
        output: list[str] = []
        for line in self._pipe(self._process.stdout):
            if line == f"{DONE}\n":
                return "".join(output)
            output.append(line)
        raise AssertionError(f"{block}\n{plain(''.join(output))[-OUTPUT_LENGTH:]}")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe
        return pipe


def repository(directory: Path) -> Path:
    """A repository with the files of this one as they are now, and the provider's settings."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.check_output(listed, cwd=ROOT, text=True).split("\0")
    for file in filter(None, files):
        if (ROOT / file).is_file():
            (directory / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, directory / file)
    for root in ("bootstrap", ""):
        Terraform(directory, root, {})
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "Now"]):
        subprocess.run(["git", *command], cwd=directory, check=True)
    return directory


@pytest.fixture
def aws() -> Iterator[Aws]:
    """An account of its own: the bootstrap stays in it."""
    require_tool("terraform")
    with terraform.emulated_aws() as url:
        yield Aws(url)


@pytest.fixture
def environment(aws: Aws, tmp_path: Path) -> dict[str, str]:
    """The environment of a person, with stand-ins on the PATH."""
    for tool in ("git", "jq", "curl", "openssl", "make"):
        require_tool(tool)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, script in STAND_INS.items():
        (tools / name).write_text(f"#!/bin/bash\nset -e\n{script}\n")
        (tools / name).chmod(0o755)
    source = tmp_path / "source"
    source.mkdir()
    given = terraform.environment(tmp_path, aws.url)
    flags = [f"-backend-config={name}={value}" for name, value in MOTO_BACKEND.items()]
    return given | {
        "PATH": f"{tools}:{given['PATH']}",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository(source)}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/octocat/tracker",
        "TF_CLI_ARGS_apply": "-auto-approve -input=false",
        "TF_CLI_ARGS_destroy": "-auto-approve -input=false",
        "BACKEND": " ".join(flags),
    }


@contextmanager
def api_of_the_ecs_task(aws: Aws) -> Iterator[None]:
    """Serve the API as ECS would, at the address of the ECS task."""
    api = task_definition(aws, "task-tracker-task")["containers"]["api"]
    variables = container_environment(aws, api)
    names = ("AWS_REGION", "BOOTSTRAP_KEY", "CURSOR_SECRET", "TABLE_NAME")
    known = {name.lower(): variables[name] for name in names}
    app = create_app(builders.settings(aws.url, auth="on", **known))
    with (
        ecs_task(aws) as address,
        running(uvicorn_config(app, host=address, port=8000)),
    ):
        yield


def test_the_first_deployment_works_as_written(
    aws: Aws, environment: dict[str, str], tmp_path: Path
) -> None:
    """From git clone to an address, a key and a task; then everything is destroyed."""
    documented = blocks("First deployment")
    clone, bootstrap, *others, deploy, key, no_bootstrap_key, destroy = documented
    assert "gh workflow run deploy.yml" in deploy
    shell = Shell(tmp_path, environment)
    try:
        shell.run(clone.replace("OWNER/NAME", "octocat/tracker"))
        shell.run(bootstrap)
        # moto ignores the condition of this policy and denies every request.
        bucket = shell.run("output STATE_BUCKET").strip()
        aws.client("s3").delete_bucket_policy(Bucket=bucket)
        for block in others:
            shell.run(block)
        shell.run('export TF_CLI_ARGS_init="$BACKEND"')
        for block in blocks("By hand"):
            shell.run(block)
        with api_of_the_ecs_task(aws):
            task = json.loads(shell.run(key).strip().splitlines()[-1])
        shell.run(no_bootstrap_key)
        shell.run(destroy)
    finally:
        shell.close()
    assert task["title"] == "Deployed"
    assert left_over(aws) == []
    assert "variable set STATE_BUCKET -R octocat/tracker -b" in (tmp_path / "gh.log").read_text()
    assert len(documented) == len(others) + 6


def test_little_is_left_for_aws_to_show() -> None:
    """At most ten lines say what no test can."""
    listed = re.findall(r"(?m)^- ", section("What was never tried on AWS"))
    assert 0 < len(listed) <= MAX_AWS_ONLY
