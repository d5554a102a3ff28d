"""One exploration serves the properties, the totality and the drawing."""

import pytest

from services.execution.model.draw import tour


@pytest.fixture(scope="session")
def met():
    return tour()
