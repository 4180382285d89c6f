"""What Amazon Managed Service for Prometheus (AMP) would run, run here, and what sends to it."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from api.local.processes import ROOT
from monitoring import local_stack, programs
from tests.infra.conftest import Aws
from tests.support.ports import free_port, wait_until_taken
from tests.support.require_tool import require_tool
from tests.support.wait import wait_until

START_SECONDS = 30
# Far longer than everything here takes, for a busy machine.
MAX_WAIT_SECONDS = 60
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


class Alertmanager:
    """An Alertmanager with a definition of AMP, and the queue that gets what it publishes."""

    def __init__(self, port: int, sqs: Any, queue: str) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v2/alerts"
        self._sqs = sqs
        self._queue = queue
        self._notifications: list[dict[str, str]] = []

    def send(self, alert: dict[str, Any]) -> None:
        """Send an alert as Prometheus does."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url, json.dumps([alert]).encode(), headers)
        urllib.request.urlopen(request, timeout=START_SECONDS).close()

    def next_notification(self) -> dict[str, str]:
        """Wait for the next notification of the topic."""
        wait_until(self._receive, MAX_WAIT_SECONDS)
        return self._notifications.pop()

    def _receive(self) -> bool:
        found = self._sqs.receive_message(QueueUrl=self._queue, WaitTimeSeconds=0)
        for message in found.get("Messages", []):
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
            self._notifications.append(json.loads(message["Body"]))
        return bool(self._notifications)


@contextmanager
def alertmanager(definition: str, topic: str, aws: Aws, home: Path) -> Iterator[Alertmanager]:
    """Run it with short intervals and moto's SNS."""
    require_tool("prometheus-alertmanager", package="prometheus-alertmanager")
    configuration = yaml.safe_load(yaml.safe_load(definition)["alertmanager_config"])
    configuration["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    (receiver,) = configuration["receivers"]
    receiver["sns_configs"][0]["api_url"] = aws.url
    file = home / "alertmanager.yml"
    file.write_text(yaml.safe_dump(configuration))
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName="operators")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    aws.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
    )
    port = free_port()
    command = [
        "prometheus-alertmanager",
        f"--config.file={file}",
        f"--storage.path={home / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with _listening(command, home, port):
        yield Alertmanager(port, sqs, queue)


class Workspace:
    """A Prometheus that stores what it receives and evaluates rules."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[dict[str, str]]:
        """Return the labels of the series that a query results in."""
        found = self._get(f"query?{urllib.parse.urlencode({'query': expression})}")
        return [series["metric"] for series in found["result"]]

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules with their state."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=START_SECONDS) as response:
            data: dict[str, Any] = json.load(response)["data"]
        return data


@contextmanager
def workspace(home: Path, rules: Mapping[str, str]) -> Iterator[Workspace]:
    """Run a Prometheus with rule files, each evaluated every second."""
    require_tool("prometheus", package="prometheus")
    home.mkdir()
    for name, text in rules.items():
        (home / f"{name}.yaml").write_text(text.replace("interval: 5m", "interval: 1s"))
    settings = {
        "global": {"evaluation_interval": "1s"},
        "rule_files": [f"{name}.yaml" for name in rules],
    }
    file = home / "prometheus.yml"
    file.write_text(yaml.safe_dump(settings))
    port = free_port()
    command = [
        "prometheus",
        "--web.enable-remote-write-receiver",
        f"--config.file={file}",
        f"--storage.tsdb.path={home / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with _listening(command, home, port):
        yield Workspace(f"http://127.0.0.1:{port}")


@contextmanager
def ecs_task(
    home: Path, configuration: str, to: Workspace, targets: Mapping[str, str]
) -> Iterator[None]:
    """Run the Prometheus of an ECS task, whose id is the directory's name.

    It scrapes the addresses of `targets`, each in place of another.
    """
    home.mkdir()
    port = free_port()
    for address, other in {**targets, "localhost:9090": f"localhost:{port}"}.items():
        configuration = configuration.replace(address, other)
    settings = yaml.safe_load(configuration)
    settings["remote_write"][0]["url"] = f"{to.url}/api/v1/write"
    settings["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
    environment = {
        "PROMETHEUS_CONFIG": yaml.safe_dump(settings),
        "ECS_CONTAINER_METADATA_URI_V4": f"http://169.254.170.2/v4/{home.name}-1234",
        **CREDENTIALS,
    }
    # Prometheus 3 replaces variables in external labels without the flag.
    flag = "--enable-feature=expand-external-labels"
    with local_stack.prometheus(home, port, environment, flag):
        yield


@contextmanager
def node_exporter(home: Path) -> Iterator[str]:
    """Run node-exporter with the shipped flags; provide its address."""
    require_tool("prometheus-node-exporter", package="prometheus-node-exporter")
    home.mkdir()
    port = free_port()
    flags = (ROOT / "monitoring/node-exporter/flags").read_text()
    flags = flags.replace("127.0.0.1:9100", f"127.0.0.1:{port}")
    command = ["prometheus-node-exporter", *flags.splitlines()]
    with _listening(command, home, port):
        yield f"localhost:{port}"


@contextmanager
def _listening(command: list[str], home: Path, port: int) -> Iterator[None]:
    """Run a program, and wait until it listens."""
    with programs.running(command[0], command, home, CREDENTIALS, home / "log") as program:
        assert wait_until_taken(port, program.process, START_SECONDS), f"see {home}"
        yield
