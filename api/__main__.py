"""`python -m api`: the app under uvicorn, as in production."""

import ssl
import sys

import uvicorn
from pydantic import ValidationError

from api import logs
from api.limits import GRACEFUL_STOP_SECONDS
from api.main import create_app
from api.serving.server import raise_descriptor_limit, serve, uvicorn_config
from api.serving.tls import server_context
from api.settings import Settings
from api.values import reason_of


def configure(settings: Settings) -> uvicorn.Config:
    """Return the configuration of the server that these settings describe."""
    app = create_app(settings)
    raise_descriptor_limit(app.state.limits)
    return uvicorn_config(
        app,
        _tls_context(settings),
        host=settings.host,
        port=settings.port,
        timeout_graceful_shutdown=GRACEFUL_STOP_SECONDS,
    )


def _tls_context(settings: Settings) -> ssl.SSLContext | None:
    try:
        return server_context(settings)
    except ssl.SSLError as error:
        sys.exit(f"TLS_CERTIFICATE and TLS_KEY (or the files) cannot be used: {error}")


def read_settings() -> Settings:
    """Read the environment, or exit with a sentence for each invalid variable."""
    try:
        return Settings()
    except ValidationError as error:
        faults = (
            ": ".join([*map(str.upper, map(str, e["loc"])), reason_of(e["msg"])])
            for e in error.errors()
        )
        sys.exit("Invalid environment variables:\n  " + "\n  ".join(faults))


def main() -> None:
    settings = read_settings()
    logs.configure(settings)
    serve(configure(settings))


if __name__ == "__main__":
    main()
