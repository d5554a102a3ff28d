"""Fixtures shared by every test of the repository."""

import pytest
from hypothesis import settings

# Generated cases are the same in every run and have no time limit: what one run of two thousand tests does not find,
# none finds, and a busy machine is no failure. ``--hypothesis-profile=default`` looks further.
settings.load_profile("ci")

pytest_plugins = ["tests.fixtures_servers"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep ``xdist_group`` together: xdist 3.8 writes a test's group behind its id where pytest 9.2 no longer looks.

    The soak goes first: it is the longest and mostly waits, which at the end nobody would fill.
    """
    items.sort(key=lambda item: "test_soak.py" not in item.nodeid)  # stable
    for item in items:
        if grouped := getattr(item, "_nodeid", None):
            item._id = item.id.parse(grouped)
