"""Single files of a model package, where they are kept. Blocking."""

import fsspec

from apps.api.errors import StoreUnavailableError

_MOST = 64 * 2**20


def read_part(uri: str, name: str) -> bytes | None:
    """The file ``name`` of the package at ``uri``; None where it has none."""
    try:
        fs, root = fsspec.core.url_to_fs(uri)
        path = f"{root.rstrip('/')}/{name}"
        if not fs.exists(path) or fs.size(path) > _MOST:
            return None
        found: bytes = fs.cat_file(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StoreUnavailableError(f"the research store cannot be read: {type(exc).__name__}") from exc
    return found
