"""Where DynamoDB answers: what botocore says, most often without asking it."""

import os
from pathlib import Path

import botocore.session
import pytest

from api import wire
from api.settings import Settings
from tests.support import botocore_wire
from tests.support.builders import SECRET

REGIONS = [
    region
    for partition in botocore.session.get_session().get_available_partitions()
    for region in botocore.session.get_session().get_available_regions("dynamodb", partition)
]


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def both(region: str) -> tuple[str, str]:
    config = Settings(cursor_secret=SECRET, aws_region=region)
    asked: str = wire.client(wire.session(config), config).meta.endpoint_url
    return wire.endpoint_url(config), asked


@pytest.mark.parametrize("region", [*REGIONS, "us-gov-north-1", "cn-south-1", "ap-southeast-99"])
def test_every_region_is_where_botocore_says(region: str) -> None:
    """In every partition, and in regions to come."""
    ours, botocores = both(region)
    assert ours == botocores


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
def test_the_environment_changes_it_as_for_botocore(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Whatever botocore reads there."""
    if name == "AWS_PROFILE":
        write(Path.home() / ".aws/config", "[default]\n")
    monkeypatch.setenv(name, value)
    ours, botocores = both("eu-west-1")
    assert ours == botocores


@pytest.mark.parametrize("name", [None, "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_a_file_changes_it_as_for_botocore(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str | None
) -> None:
    """At home, or wherever the environment says that it is."""
    file = tmp_path / (f"at/{name}" if name else ".aws/config")
    write(file, "[default]\nendpoint_url = https://filed.example\n")
    if name:
        monkeypatch.setenv(name, str(file))
    assert both("eu-west-1") == ("https://filed.example", "https://filed.example")


def write(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)


def test_a_local_endpoint_is_taken_as_it_is() -> None:
    """Whatever else is configured."""
    config = Settings(cursor_secret=SECRET, dynamodb_endpoint="http://127.0.0.1:8100")
    assert wire.endpoint_url(config) == botocore_wire.client(config).meta.endpoint_url
