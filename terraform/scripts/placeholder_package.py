"""Make a package for a preview that says what it is: `placeholder_package.py build/preview.zip`."""

import sys
import zipfile
from pathlib import Path

HANDLER = '''"""Answers until the app itself is packaged."""

import json


def handler(event, context):
    return {"statusCode": 501, "body": json.dumps({"title": "The app is not in this package yet"})}
'''
# The oldest time that a zip can hold: the same input makes the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as package:
        package.writestr(zipfile.ZipInfo("handlers/http.py", EPOCH), HANDLER)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
