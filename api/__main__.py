"""`python -m api`: the app under uvicorn, as it runs in production."""

import sys

import uvicorn
from pydantic import ValidationError

from api import logs
from api.main import create_app
from api.server import allow_descriptors, configuration
from api.settings import Settings

# Longer than a request may take, shorter than ECS waits before it kills (30 s).
GRACEFUL_STOP_SECONDS = 20


def server(settings: Settings) -> uvicorn.Server:
    """Set the server up with its app, ready to run."""
    app = create_app(settings)
    allow_descriptors(app.state.limits)
    return uvicorn.Server(
        configuration(
            app,
            host=settings.host,
            port=settings.port,
            timeout_graceful_shutdown=GRACEFUL_STOP_SECONDS,
        )
    )


def read_settings() -> Settings:
    """Read the environment, or end with a sentence for each setting that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        faults = (
            ": ".join([*map(str.upper, map(str, e["loc"])), e["msg"]]) for e in error.errors()
        )
        sys.exit("The environment does not fit:\n  " + "\n  ".join(faults))


def main() -> None:
    settings = read_settings()
    logs.configure(settings)
    server(settings).run()


if __name__ == "__main__":
    main()
