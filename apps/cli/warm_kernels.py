"""``python -m apps.cli.warm_kernels``: compile the kernels once, so that no process waits for them later."""

import importlib
import importlib.util
import sys

from apps.cli.console import bar, say
from packages.common.kernel_sources import cache_folder

MODULES = (
    "services.features.kernel",
    "services.labeling.kernel",
    "services.simulator.step",
    "services.inference.forest",
    "services.training.sampling",
    "services.emulator.warm",
)


def main() -> int:
    """Call ``warm()`` of each kernel module that has one; does nothing when these sources were compiled before."""
    stamp = cache_folder() / ".warm"
    if stamp.exists():
        say("  up to date")
        return 0
    warmed = []
    with bar("Compiling kernels") as shown:
        for i, name in enumerate(MODULES):
            shown.show(i / len(MODULES), name)
            if importlib.util.find_spec(name) is None:
                continue
            warm = getattr(importlib.import_module(name), "warm", None)
            if warm is not None:
                warm()
                warmed.append(name)
    say(f"  compiled: {', '.join(warmed) or 'nothing yet'}")
    if len(warmed) == len(MODULES):
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
