"""Print the OpenAPI document, for the tools that read it from a file."""

import json

from api.main import create_app
from tests.support.builders import settings


def document() -> str:
    app = create_app(settings("http://127.0.0.1:9"))
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False)


if __name__ == "__main__":
    print(document())
