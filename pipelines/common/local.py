"""Which runners run a job on this machine; light, so that the command line can ask at once."""

import argparse
from collections.abc import Sequence

# The default runner.
LOCAL = "FnApiRunner"
# Beam's runners that run the steps on this machine, in this process or in others.
_LOCAL_RUNNERS = (LOCAL, "DirectRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner")


def is_local(beam_args: Sequence[str]) -> bool:
    """Whether flags of Beam name a runner of this machine, or none.

    Args:
        beam_args: flags that are not the command's own; Beam's wrong ones are refused later.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runner", nargs="?")
    given, _ = parser.parse_known_args(list(beam_args))
    return runs_here(given.runner or LOCAL)


def bare_name(runner: str) -> str:
    """The name of a runner without its module, which Beam's `--runner` may have."""
    return runner.rsplit(".", 1)[-1]


def runs_here(runner: str) -> bool:
    """Whether a runner of Beam runs all steps on this machine, so that its disks are enough.

    Args:
        runner: its name, perhaps with its module, spelled as Beam takes it: `fnapi` too.
    """
    name = bare_name(runner).lower()
    return any(one.lower() in (name, f"{name}runner") for one in _LOCAL_RUNNERS)
