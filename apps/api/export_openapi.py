"""``python -m apps.api.export_openapi <path>``: the OpenAPI document, the same bytes from the same code."""

import json
import sys
from pathlib import Path

from apps.api.main import create_app
from packages.common.config import load_settings


def document() -> str:
    """The document as text; it does not depend on settings of this machine."""
    app = create_app(load_settings(env_file=None))
    return json.dumps(app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the document to the path that is given; 0 on success."""
    if len(arguments) != 1:
        print("usage: python -m apps.api.export_openapi <path>", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
