"""Options of the emulated exchange that cannot be meant."""

import pytest
from typer.testing import CliRunner

from apps.cli.emulator import app


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--switch", "nonsense=1"), b"switch: got 'nonsense=1'"),
        (("--switch", "query_lag_ms=often"), b"query_lag_ms: got 'often'"),
        (("--balance", "much"), b"balance: got 'much'"),
        (("--api-key", "k"), b"api-key: got None"),
    ],
)
def test_options_are_refused_by_name(options, named):
    result = CliRunner().invoke(app, ["serve", *options])
    assert result.exit_code == 1
    assert named in result.stderr_bytes
