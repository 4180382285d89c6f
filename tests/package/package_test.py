"""The Lambda package is reproducible, complete and small."""

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

from api.board.assets import STATIC
from api.local.processes import ROOT
from tests.support.packaging import MACHINES, make
from tests.support.scripted_server import Peer, scripted

pytestmark = pytest.mark.slow

MAX_BYTES = 20_000_000
# What would lengthen every cold start, or belongs to tests and servers.
UNWANTED = {
    "aiohttp",
    "boto3",
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
INVOKE = """
import json, sys
from handlers.http import handler
status = handler(json.loads(sys.argv[1]), None)["statusCode"]
files = [getattr(module, "__file__", None) or "" for module in sys.modules.values()]
print(json.dumps([status, sorted(sys.modules), files]))
"""
FIND_CREDENTIALS = """
import asyncio
import handlers.http
from api.dynamodb.credentials import Credentials, find_credentials
print(asyncio.run(Credentials(find_credentials).current(5)).access_key)
"""


def run_alone(root: Path, code: str, *arguments: str, **environment: str) -> str:
    """Run code that can import the package and the standard library only; return its output."""
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


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_builds_are_reproducible(package: Path, tmp_path: Path) -> None:
    """Directory, time zone, hash seed, file times and umask do not change the package."""
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


def test_the_package_is_small(package: Path) -> None:
    """It has no tests, no embedded store, and only the services of botocore that are called."""
    assert package.stat().st_size < MAX_BYTES
    names = zipfile.ZipFile(package).namelist()
    assert not [name for name in names if re.search(r"(^|/)tests?/|_test\.py$|^api/local/", name)]
    services = {name.split("/")[2] for name in names if re.match("botocore/data/.*/", name)}
    assert services == {"dynamodb", "signin", "sso", "sso-oidc", "sts"}


def test_native_modules_match_the_architecture(tmp_path: Path) -> None:
    """The package for arm64 has no native module of the machine that builds it."""
    names = zipfile.ZipFile(make("arm64", tmp_path)).namelist()
    native = [name for name in names if name.endswith(".so")]
    assert native
    assert all("aarch64" in name for name in native)


def test_the_function_runs_from_the_package_alone(task_root: Path) -> None:
    """Every module comes from the package or from Python, and none is a known waste of time."""
    # The metrics come before the result.
    output = run_alone(task_root, INVOKE, json.dumps(EVENT)).splitlines()[-1]
    status, modules, files = json.loads(output)
    assert status == 200
    foreign = [file for file in files if "site-packages" in file or str(ROOT) in file]
    assert not [file for file in foreign if not file.startswith(str(task_root))]
    assert {"handlers.http", "pynamodb.connection.base"} <= set(modules)
    assert not set(modules) & UNWANTED


def test_the_board_is_in_the_package(package: Path) -> None:
    """All of its files, as they are in the repository."""
    packed = zipfile.ZipFile(package)
    for path in STATIC.iterdir():
        assert packed.read(path.relative_to(ROOT).as_posix()) == path.read_bytes()


def test_libraries_find_their_metadata(task_root: Path) -> None:
    """Versions and entry points are in the package."""
    code = (
        "from importlib.metadata import entry_points, version\n"
        "print(version('fastapi'), len(entry_points(group='opentelemetry_context')))"
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+ 1\n", run_alone(task_root, code))


def test_credentials_of_the_environment_are_found(task_root: Path) -> None:
    """Lambda sets the credentials of the function's role as environment variables."""
    given = {"AWS_ACCESS_KEY_ID": "from-environment", "AWS_SECRET_ACCESS_KEY": "secret"}
    assert run_alone(task_root, FIND_CREDENTIALS, **given) == "from-environment\n"


def _expiry() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _sts_response(action: str) -> str:
    return (
        f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
        "<Credentials><AccessKeyId>from-chain</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        f"<SessionToken>t</SessionToken><Expiration>{_expiry()}</Expiration></Credentials>"
        f"</{action}Result></{action}Response>"
    )


def _container_response() -> str:
    role = {"AccessKeyId": "from-chain", "SecretAccessKey": "s", "Token": "t"}
    return json.dumps(role | {"Expiration": _expiry()})


def _sso_response() -> str:
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
@pytest.mark.parametrize("provider", CONFIGURATIONS)
async def test_credentials_of_other_providers_are_found(
    task_root: Path, tmp_path: Path, provider: str
) -> None:
    """The package has what botocore needs for roles, web identities, SSO and containers."""
    body = {
        "assume-role": _sts_response("AssumeRole"),
        "web-identity": _sts_response("AssumeRoleWithWebIdentity"),
        "sso": _sso_response(),
        "container": _container_response(),
    }[provider].encode()

    async def service(peer: Peer, reader: Any, writer: Any) -> None:
        await peer.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    (tmp_path / "config").write_text(CONFIGURATIONS[provider].format(root=tmp_path))
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
        if provider == "container":
            environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{peer.url}/role"
        found = await asyncio.to_thread(run_alone, task_root, FIND_CREDENTIALS, **environment)
    assert found == "from-chain\n"
