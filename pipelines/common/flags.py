"""The flags by which the command line names the parameters of the library."""

import argparse
import re
from collections.abc import Mapping
from typing import Any

_PARAMETER = re.compile(r"`([a-z][a-z0-9_]*)`")


def flag(parameter: str) -> str:
    """The flag of a parameter that has the name of its option."""
    return "--" + parameter.replace("_", "-")


def flags_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Parameter to the flag that sets it; of an option with several flags, the first."""
    return {
        action.dest: action.option_strings[0] for action in parser._actions if action.option_strings
    }


def with_flags(text: str, renamed: Mapping[str, str] | None = None) -> str:
    """A text of the library, its parameters in back quotes replaced by their flags.

    Args:
        text: of the library.
        renamed: parameters whose flags have other names, such as `network` of `--backbone`.
    """
    names = renamed or {}
    return _PARAMETER.sub(lambda found: flag(names.get(found[1], found[1])), text)


def crop_flags(preprocessing: Mapping[str, Any]) -> str:
    """The flags that ask for such crops, without their size.

    Args:
        preprocessing: what `CropConfig.to_manifest` gives.
    """
    found = {"align": preprocessing["align"]}
    if found["align"] == "center":
        found["crop_fraction"] = f"{preprocessing['crop_fraction']:g}"
        if preprocessing.get("crop_raised"):
            found["crop_raised"] = f"{preprocessing['crop_raised']:g}"
    if found["align"] == "detect":
        found["detector"] = preprocessing["detector"]
    return " ".join(f"{flag(name)} {value}" for name, value in found.items())
