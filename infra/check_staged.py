"""``python -m infra.check_staged secrets|size FILE…``: what must not be committed."""

import re
import sys
from pathlib import Path

SIZE_MAX = 500_000
_SECRETS = (
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("a cloud key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("an exchange key", re.compile(r"(?i)(?:api|secret)[_-]?key\W{1,4}['\"]?[A-Za-z0-9]{64}\b")),
    (
        "a password in an address",
        re.compile(r"\b(?:postgres(?:ql)?|redis|https?|s3)://[^\s:/@{}$<]+:(?!password@|secret@)[^\s@{}$<]{6,}@"),
    ),
)
_EXAMPLES = frozenset({".env.example"})


def faults(check: str, path: Path) -> list[str]:
    """What is wrong with one file, as lines for the user."""
    if not path.is_file():
        return []
    if check == "size":
        size = path.stat().st_size
        return [f"{path}: {size} bytes, more than {SIZE_MAX}"] if size > SIZE_MAX else []
    if path.name.startswith(".env") and path.name not in _EXAMPLES:
        return [f"{path}: settings with secrets stay out of the repository"]
    found = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        found += [f"{path}:{number}: looks like {name}" for name, pattern in _SECRETS if pattern.search(line)]
    return found


def main(arguments: list[str]) -> int:
    """Exit status 1 when a file has a fault."""
    if not arguments or arguments[0] not in ("secrets", "size"):
        print("usage: python -m infra.check_staged secrets|size FILE…", file=sys.stderr)
        return 2
    lines = [line for name in arguments[1:] for line in faults(arguments[0], Path(name))]
    for line in lines:
        print(line, file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
