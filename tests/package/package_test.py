"""What Lambda runs: the same bytes each time, with all that it needs and nothing else."""

import asyncio
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.packaging import MACHINES, make
from tests.support.peer import Peer, scripted
from tests.support.processes import ROOT

MOST_BYTES = 20_000_000
# Of the whole path from an event to DynamoDB: what it is known to do without.
UNWANTED = {
    "aiohttp",
    "boto3",
    "botocore.docs.service",
    "httpx",
    "jinja2",
    "moto",
    "pydantic.v1",
    "pytest",
    "requests",
    "s3transfer",
    "tests",
    "uvicorn",
    "uvloop",
    "watchfiles",
    "websockets",
    "yaml",
}
EVENT = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/livez",
    "rawQueryString": "",
    "headers": {"host": "preview.example"},
    "requestContext": {
        "domainName": "preview.example",
        "http": {"method": "GET", "path": "/livez", "sourceIp": "203.0.113.7"},
        "stage": "$default",
    },
    "isBase64Encoded": False,
}
IMPORTED = """
import json, sys
from handlers.http import handler
status = handler(json.loads(sys.argv[1]), None)["statusCode"]
files = [getattr(module, "__file__", None) or "" for module in sys.modules.values()]
print(json.dumps([status, sorted(sys.modules), files]))
"""
# In the state that the function's own start leaves, as where credentials are renewed.
CREDENTIALS = """
import asyncio
import handlers.http
from api.settings import Settings
from api.signing import Credentials
from api.wire import credentials
print(asyncio.run(Credentials(lambda: credentials(Settings())).current(5)).access_key)
"""


def alone(root: Path, code: str, *arguments: str, **environment: str) -> str:
    """Run code with the package and Python itself on the path, in an environment of its own."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, *arguments],
        cwd=root,
        env={"CURSOR_SECRET": "x" * 32, "HOME": str(root), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported(task_root: Path) -> tuple[int, list[str], list[str]]:
    """Answer an event from the package alone; give the status, the modules and their files."""
    # Metrics are written before it.
    last = alone(task_root, IMPORTED, json.dumps(EVENT)).splitlines()[-1]
    status, modules, files = json.loads(last)
    return status, modules, files


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_input_makes_the_same_bytes(package: Path, tmp_path: Path) -> None:
    """From another directory, in another time zone, by somebody whose files are private."""
    elsewhere = {"TZ": "Asia/Kolkata", "PYTHONHASHSEED": "7", "PYTHONDONTWRITEBYTECODE": ""}
    os.utime(ROOT / "api" / "main.py")
    again = make(
        MACHINES[platform.machine()],
        tmp_path,
        cwd=tmp_path,
        umask=0o077,
        env=os.environ | elsewhere,
    )
    assert digest(again) == digest(package)


def test_a_package_is_small_and_holds_no_more_than_it_needs(package: Path) -> None:
    """Neither tests nor a server, and of botocore's services those that are called."""
    assert package.stat().st_size < MOST_BYTES
    names = zipfile.ZipFile(package).namelist()
    assert not {name.partition("/")[0] for name in names} & UNWANTED
    assert not [name for name in names if re.search(r"(^|/)tests?/|_test\.py$", name)]
    services = {name.split("/")[2] for name in names if re.match("botocore/data/.*/", name)}
    assert services == {"dynamodb", "signin", "sso", "sso-oidc", "sts"}


def test_the_other_machines_package_holds_its_own_modules(tmp_path: Path) -> None:
    """Nothing native of this one gets in."""
    names = zipfile.ZipFile(make("arm64", tmp_path)).namelist()
    native = [name for name in names if name.endswith(".so")]
    assert native
    assert all("aarch64" in name for name in native)


def test_what_is_imported_is_in_the_package(task_root: Path) -> None:
    """From the first import to an answer, all of it comes from the zip or from Python."""
    status, modules, files = imported(task_root)
    assert status == 200
    foreign = [file for file in files if "site-packages" in file or str(ROOT) in file]
    assert not [file for file in foreign if not file.startswith(str(task_root))]
    assert {"handlers.http", "pynamodb.connection.base"} <= set(modules)


def test_nothing_is_imported_that_the_path_can_do_without(task_root: Path) -> None:
    """Each of these would lengthen every cold start."""
    _, modules, _ = imported(task_root)
    assert not set(modules) & UNWANTED


def test_plugins_are_found_by_their_metadata(task_root: Path) -> None:
    """What looks itself up at run time finds its version and its entry points."""
    code = (
        "from importlib.metadata import entry_points, version\n"
        "print(version('fastapi'), len(entry_points(group='opentelemetry_context')))"
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+ 1\n", alone(task_root, code))


def test_credentials_of_the_environment_are_found(task_root: Path) -> None:
    """As Lambda gives them."""
    given = {"AWS_ACCESS_KEY_ID": "from-environment", "AWS_SECRET_ACCESS_KEY": "secret"}
    assert alone(task_root, CREDENTIALS, **given) == "from-environment\n"


def _expiry() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _assumed(action: str) -> str:
    return (
        f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
        "<Credentials><AccessKeyId>from-chain</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        f"<SessionToken>t</SessionToken><Expiration>{_expiry()}</Expiration></Credentials>"
        f"</{action}Result></{action}Response>"
    )


def _role(*, container: bool) -> str:
    expiry: Any = _expiry()
    if container:
        return json.dumps(
            {
                "AccessKeyId": "from-chain",
                "SecretAccessKey": "s",
                "Token": "t",
                "Expiration": expiry,
            }
        )
    milliseconds = int((datetime.now(UTC) + timedelta(hours=1)).timestamp() * 1000)
    role = {"accessKeyId": "from-chain", "secretAccessKey": "s", "sessionToken": "t"}
    return json.dumps({"roleCredentials": role | {"expiration": milliseconds}})


CONFIGURATIONS = {
    "assume-role": "[default]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = s\n"
    "[profile s]\naws_access_key_id = a\naws_secret_access_key = s\n",
    "web-identity": "[default]\nrole_arn = arn:aws:iam::123456789012:role/r\n"
    "web_identity_token_file = {root}/token\n",
    "sso": "[default]\nsso_start_url = https://s.example\nsso_region = us-east-1\n"
    "sso_account_id = 123456789012\nsso_role_name = r\n",
    "container": "",
}


@pytest.mark.anyio
@pytest.mark.parametrize("kind", CONFIGURATIONS)
async def test_the_rest_of_the_chain_is_in_the_package(
    task_root: Path, tmp_path: Path, kind: str
) -> None:
    """A role that is assumed, by a token or by a login, and a container's."""
    answers = {
        "assume-role": _assumed("AssumeRole"),
        "web-identity": _assumed("AssumeRoleWithWebIdentity"),
        "sso": _role(container=False),
        "container": _role(container=True),
    }

    async def service(peer: Peer, reader: Any, writer: Any) -> None:
        await peer.read(reader)
        body = answers[kind].encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    (tmp_path / "config").write_text(CONFIGURATIONS[kind].format(root=tmp_path))
    (tmp_path / "token").write_text("token")
    cache = tmp_path / ".aws/sso/cache"
    cache.mkdir(parents=True)
    start = hashlib.sha1(b"https://s.example", usedforsecurity=False).hexdigest()
    login = {"accessToken": "t", "expiresAt": _expiry(), "startUrl": "https://s.example"}
    (cache / f"{start}.json").write_text(json.dumps(login | {"region": "us-east-1"}))
    async with scripted(service) as peer:
        environment = {
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": peer.url,
            "HOME": str(tmp_path),
        }
        if kind == "container":
            environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{peer.url}/role"
        found = await asyncio.to_thread(alone, task_root, CREDENTIALS, **environment)
    assert found == "from-chain\n"
