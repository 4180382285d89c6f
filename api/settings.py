"""What an operator can set, all of it from the environment."""

from typing import Literal

from pydantic import AliasChoices, Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


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

    @property
    def task_memory_bytes(self) -> int | None:
        return self.task_memory_mib and self.task_memory_mib * 2**20
