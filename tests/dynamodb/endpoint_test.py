"""The endpoint of DynamoDB, compared with the one that botocore resolves."""

import os
from pathlib import Path

import botocore.session
import pytest

from api.dynamodb.endpoint import endpoint_url
from api.main import transport_for
from api.settings import Settings
from tests.support.builders import SECRET

SESSION = botocore.session.get_session()
REGIONS = [
    region
    for partition in SESSION.get_available_partitions()
    for region in SESSION.get_available_regions("dynamodb", partition)
]


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def botocores_url(region: str) -> str:
    client = botocore.session.get_session().create_client("dynamodb", region_name=region)
    return str(client.meta.endpoint_url)


@pytest.mark.parametrize("region", [*REGIONS, "us-gov-north-1", "cn-south-1", "ap-southeast-99"])
def test_a_regions_endpoint_is_botocores(region: str) -> None:
    """In every partition, and in regions that do not exist yet."""
    assert endpoint_url(region) == botocores_url(region)


def test_the_transport_uses_the_regions_endpoint_unless_a_local_one_is_configured() -> None:
    transport = transport_for(Settings(cursor_secret=SECRET, aws_region="eu-west-1"))
    assert transport._url == "https://dynamodb.eu-west-1.amazonaws.com"
    assert transport._http.host == "dynamodb.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "https://all.example"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "https://one.example"),
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        ("AWS_PROFILE", "default"),
        ("AWS_ACCOUNT_ID", "123456789012"),
    ],
)
def test_environment_variables_change_the_endpoint_as_they_change_botocores(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    if name == "AWS_PROFILE":
        write(Path.home() / ".aws/config", "[default]\n")
    monkeypatch.setenv(name, value)
    assert endpoint_url("eu-west-1") == botocores_url("eu-west-1")


@pytest.mark.parametrize("name", [None, "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_configuration_files_change_the_endpoint_as_they_change_botocores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str | None
) -> None:
    file = tmp_path / (f"at/{name}" if name else ".aws/config")
    write(file, "[default]\nendpoint_url = https://filed.example\n")
    if name:
        monkeypatch.setenv(name, str(file))
    assert endpoint_url("eu-west-1") == botocores_url("eu-west-1") == "https://filed.example"


def write(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
