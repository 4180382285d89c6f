"""How the app is served: uvicorn with connections that have limits."""

import resource
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI

from api.connections import Connection
from api.overload import Limits, Load

# For the store, the log and what a runtime opens.
OTHER_DESCRIPTORS = 256


def configuration(app: FastAPI, **uvicorns: Any) -> uvicorn.Config:
    """Set uvicorn up; proxy headers are off, so that nobody can claim another address."""
    load = Load(app.state.metrics, app.state.limits)
    return uvicorn.Config(
        app,
        # uvicorn calls it as it would call the class.
        http=partial(Connection, load, app.state.log),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        **uvicorns,
    )


def allow_descriptors(limits: Limits) -> None:
    """Raise the number of files that this process may open to what its connections need."""
    wanted = limits.connections + limits.reserved_connections + OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
