"""Routes that are declared slow by design have no latency objective."""

import re

import pytest
from fastapi import APIRouter

from api.http.latency import slow_by_design, slow_routes
from api.local.processes import ROOT
from api.main import ROUTERS
from monitoring.prometheus import slo
from tests.support import promql_queries


@slow_by_design
async def _slow() -> None: ...


async def _fast() -> None: ...


def test_the_latency_rules_leave_out_exactly_the_declared_routes() -> None:
    """Each selector of the latency objective does; those of the other objective leave out none."""
    declared = set(slow_routes(ROUTERS))
    assert declared
    for objective, left_out in ((slo.LATENCY, declared), (slo.AVAILABILITY, set())):
        for rate in (objective.total_rate, objective.bad_rate):
            expression = rate.replace("$window", "5m")
            for selector in promql_queries.selectors(expression):
                if selector.startswith("http_"):
                    assert set(re.findall(r'route!="([^"]+)"', selector)) == left_out


def test_docs_monitoring_md_names_the_declared_routes() -> None:
    sentence = re.search(
        r"slow by\s+design do not count here: (.*?)\. ",
        (ROOT / "docs/monitoring.md").read_text(),
    )
    assert sentence
    assert re.findall(r"`([^`]+)`", sentence[1]) == slow_routes(ROUTERS)


def test_a_route_is_slow_with_all_of_its_methods_or_none() -> None:
    """The error names the path, because the rules select by route only."""
    router = APIRouter()
    router.get("/slow")(_slow)
    router.get("/fast")(_fast)
    assert slow_routes([router]) == ["/slow"]
    router.post("/slow")(_fast)
    with pytest.raises(ValueError, match="/slow"):
        slow_routes([router])
