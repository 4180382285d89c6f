"""The configuration, read from environment variables."""

from typing import Literal, Self

from pydantic import (
    AliasChoices,
    Field,
    FilePath,
    HttpUrl,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from api import key_format
from api.values import is_loopback


class Settings(BaseSettings):
    """The service's configuration, read once at start-up."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        # A secret that is too short is still a secret.
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
        description="A local DynamoDB to use instead of AWS; the app creates its table there.",
    )
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    auth: Literal["on", "off"] = Field(
        default="on",
        description="Whether requests need an API key; `off` only with a loopback `HOST`, as under "
        "`make run`.",
    )
    bootstrap_key: SecretStr | None = Field(
        default=None,
        description="An API key that may manage the keys of every workspace, and nothing else: for "
        "creating the first key.",
    )
    trusted_hops: int = Field(
        default=0,
        ge=0,
        le=5,
        description="How many proxies in front append to `X-Forwarded-For`; with 0 the header is "
        "ignored.",
    )
    rate_limit: int = Field(
        default=50,
        ge=1,
        description="Requests per second of each API key in each process, with bursts of twice as "
        "many.",
    )
    workspace_rate_limit: int = Field(
        default=200,
        ge=1,
        description="Requests per second of all keys of a workspace together in each process, with "
        "bursts of twice as many.",
    )
    cors_origins: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/]+( https?://[^\s/]+)*$",
        description="Origins whose pages may call the API from a browser, separated by spaces.",
    )
    base_path: str | None = Field(
        default=None,
        pattern=r"^(/[A-Za-z0-9._~$+!*'()-]+)+$",
        description="The prefix of the public paths, for example `/live`: an API Gateway stage, or "
        "a prefix that a proxy removes. Requests work with it and without it.",
    )
    docs: Literal["on", "off"] = Field(
        default="on", description="Whether `/docs` and `/openapi.json` are served."
    )
    board: Literal["on", "off"] = Field(
        default="on", description="Whether the board for people is served at `/`."
    )
    tls_certfile: FilePath | None = Field(
        default=None,
        description="A PEM file with the certificate and its chain; the API then serves HTTPS.",
    )
    tls_keyfile: FilePath | None = Field(
        default=None, description="The PEM file with the private key of `TLS_CERTFILE`."
    )
    tls_certificate: str | None = Field(
        default=None,
        description="The same as PEM text, for a container without writable files; Linux only.",
    )
    tls_key: SecretStr | None = Field(
        default=None, description="The private key of `TLS_CERTIFICATE`, as PEM text."
    )
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on.")
    task_vcpus: float | None = Field(
        default=None,
        gt=0,
        description="The ECS task's vCPUs, which alerts compare usage with. If not set, the "
        "machine's CPUs.",
    )
    task_memory_mib: int | None = Field(
        default=None, gt=0, description="The ECS task's memory in MiB; the machine's if not set."
    )
    backlog: Literal["on", "off"] = Field(
        default="on",
        description="Whether this process may count open and overdue tasks for the metrics. Only "
        "one process per table counts, every 5 minutes, with at most 500 request units.",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto",
        description="`json`, `text` (without requests of probes and scrapes), or `auto`: text on a "
        "terminal, JSON otherwise.",
    )
    build: str = Field(
        default="dev", max_length=64, description="The commit or version this build was made from."
    )

    @field_validator("bootstrap_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and key_format.parse(value.get_secret_value()) is None:
            raise ValueError("not a key: `make bootstrap-key` prints one")
        return value

    @field_validator("base_path")
    @classmethod
    def _is_not_the_apis_own(cls, value: str | None) -> str | None:
        if value is not None and f"{value}/".startswith("/v1/"):
            raise ValueError("/v1 is the beginning of the API's own paths. Choose another prefix")
        return value

    @model_validator(mode="after")
    def _secrets_are_secret(self) -> Self:
        if self.dynamodb_endpoint is None and any(map(_is_example, self._secrets())):
            raise ValueError(
                "CURSOR_SECRET or BOOTSTRAP_KEY is an example that anybody can read. "
                "`openssl rand -hex 32` and `make bootstrap-key` print fresh ones"
            )
        return self

    def _secrets(self) -> list[str]:
        secrets = (self.cursor_secret, self.bootstrap_key)
        return [secret.get_secret_value() for secret in secrets if secret is not None]

    @model_validator(mode="after")
    def _is_closed(self) -> Self:
        if self.auth == "off" and self.host != "localhost" and not is_loopback(self.host):
            raise ValueError("AUTH=off needs a loopback HOST. Set AUTH=on, or HOST=127.0.0.1")
        return self

    @model_validator(mode="after")
    def _tls_is_complete(self) -> Self:
        if (self.tls_certfile is None) != (self.tls_keyfile is None):
            raise ValueError("TLS_CERTFILE and TLS_KEYFILE belong together. Set both, or none")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("TLS_CERTIFICATE and TLS_KEY belong together. Set both, or none")
        return self

    @property
    def scheme(self) -> str:
        return "https" if self.tls_certfile or self.tls_certificate else "http"

    @property
    def task_memory_bytes(self) -> int | None:
        return self.task_memory_mib and self.task_memory_mib * 2**20


def _is_example(secret: str) -> bool:
    """Return whether a secret is a published example: readable words, or one digit repeated."""
    return "not-a-real-secret" in secret or "0" * 32 in secret
