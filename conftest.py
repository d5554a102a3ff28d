"""Fixtures shared by every test of the repository, and the order in which workers are given them."""

import pytest

pytest_plugins = ["tests.fixtures_servers"]

# Groups that take a worker for half a minute or more: begun last, one of them would run on alone.
LONG = ("desk", "campaign", "parity", "oracle", "execution_model", "execution-incidents", "execution-histories")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep ``xdist_group`` together: xdist 3.8 writes a test's group behind its id where pytest 9.2 no longer looks."""
    for item in items:
        if grouped := getattr(item, "_nodeid", None):
            item._id = item.id.parse(grouped)
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """Long groups first, in their order; everything else stays as it was collected."""
    marker = item.get_closest_marker("xdist_group")
    name = (marker.args or (marker.kwargs.get("name"),))[0] if marker is not None else None
    return LONG.index(name) if name in LONG else len(LONG)
