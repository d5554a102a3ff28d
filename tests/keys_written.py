"""Search all that the suite has written for the secrets of its exchanges: ``python -m tests.keys_written``.

The folders of the newest run of pytest (stores, journals, state files, logs, those of databases among them), and what
the checks printed. Exit status 1 names the files in which a secret stands; 2 when there is nothing to search.
"""

import getpass
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from services.emulator.keys import TEST_KEY
from tests.execution.test_live_desk import SECRET

SECRETS = (TEST_KEY.secret.encode(), SECRET.encode())
PLACES = (Path(tempfile.gettempdir()) / f"pytest-of-{getpass.getuser()}" / "pytest-current", Path(".cache/checks.log"))


def files_below(places: Iterable[Path]) -> Iterator[Path]:
    """Every readable file, links not followed below the places themselves."""
    for place in places:
        if place.is_file():
            yield place
        elif place.is_dir():
            yield from (path for path in place.resolve().rglob("*") if path.is_file() and not path.is_symlink())


def found_in(paths: Iterable[Path], secrets: Iterable[bytes] = SECRETS) -> tuple[int, list[Path]]:
    """How many files were searched, and those that hold a secret."""
    searched, found, wanted = 0, [], tuple(secrets)
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError:  # of another user, or gone by now
            continue
        searched += 1
        if any(secret in content for secret in wanted):
            found.append(path)
    return searched, found


def main() -> int:
    """Search, and say what was found."""
    searched, found = found_in(files_below(PLACES))
    for path in found:
        print(f"a secret stands in {path}", file=sys.stderr)
    print(f"{searched:,} files of the suite searched for its exchanges' secrets: {len(found)} hold one")
    return 1 if found else 0 if searched else 2


if __name__ == "__main__":
    sys.exit(main())
