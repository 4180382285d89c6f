"""What an operator can set, all of it from the environment."""

from typing import Literal, Self

from pydantic import AliasChoices, Field, HttpUrl, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api import addresses, keys


class Settings(BaseSettings):
    """The service's configuration, read once and never changed."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        # A secret that is too short is still one.
        hide_input_in_errors=True,
    )

    cursor_secret: SecretStr = Field(
        min_length=32,
        description="Signs page cursors: 32 characters or more, the same in every process that "
        "serves one table. `make run` makes one and keeps it in `.data/`.",
    )
    table_name: str = Field(
        default="tasks", min_length=3, max_length=255, description="The DynamoDB table."
    )
    aws_region: str = Field(
        default="us-east-1",
        validation_alias=AliasChoices("aws_region", "aws_default_region"),
        description="The table's region; `AWS_DEFAULT_REGION` is read too.",
    )
    dynamodb_endpoint: HttpUrl | None = Field(
        default=None,
        description="A local DynamoDB to use instead of AWS; only there the app makes its table.",
    )
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    auth: Literal["on", "off"] = Field(
        default="on",
        description="Whether callers need a key; `off` only where `HOST` is this machine's own, "
        "as under `make run`.",
    )
    bootstrap_key: SecretStr | None = Field(
        default=None,
        description="A key in full format that opens `/v1/keys` for every workspace and nothing "
        "else: for the first key.",
    )
    trusted_hops: int = Field(
        default=0,
        ge=0,
        le=5,
        description="How many proxies in front add to `X-Forwarded-For`; without any, the header "
        "means nothing.",
    )
    rate_limit: int = Field(
        default=50,
        ge=1,
        description="Requests a second that each key may make of each process; twice as many at "
        "once after a pause.",
    )
    cors_origins: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/]+( https?://[^\s/]+)*$",
        description="Origins whose pages may call the API from a browser, with spaces between.",
    )
    docs: Literal["on", "off"] = Field(
        default="on", description="Whether `/docs` and `/openapi.json` are there."
    )
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on.")
    task_vcpus: float | None = Field(
        default=None,
        gt=0,
        description="The CPUs of the task that the app runs in, which alerts are measured by; "
        "the machine's unless set.",
    )
    task_memory_mib: int | None = Field(
        default=None, gt=0, description="Its memory in MiB, likewise."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto",
        description="`json`, `text`, or `auto`: text on a terminal, JSON anywhere else.",
    )
    build: str = Field(
        default="dev", max_length=64, description="The commit or version this build was made from."
    )

    @field_validator("bootstrap_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and keys.read(value.get_secret_value()) is None:
            raise ValueError("not a key: `make bootstrap-key` prints one")
        return value

    @model_validator(mode="after")
    def _is_closed(self) -> Self:
        if self.auth == "off" and not _is_loopback(self.host):
            raise ValueError(
                "AUTH=off lets everybody in, and HOST is not this machine's own alone. "
                "Set AUTH=on, or HOST=127.0.0.1"
            )
        return self

    @property
    def task_memory_bytes(self) -> int | None:
        return self.task_memory_mib and self.task_memory_mib * 2**20


def _is_loopback(host: str) -> bool:
    return host == "localhost" or addresses.is_loopback(host)
