"""How parameters are called on the command line: by the flags of their options."""

import argparse
import re
from collections.abc import Mapping
from typing import Any

_PARAMETER = re.compile(r"`([a-z][a-z0-9_]*)`")


def flag(parameter: str) -> str:
    """The flag of a parameter that is called as its option is."""
    return "--" + parameter.replace("_", "-")


def flags_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """By parameter: the flag that sets it, first of those of an option that has several."""
    return {
        action.dest: action.option_strings[0] for action in parser._actions if action.option_strings
    }


def with_flags(text: str) -> str:
    """A text of the library, with flags in place of the parameters that it has in back quotes."""
    return _PARAMETER.sub(lambda found: flag(found[1]), text)


def crop_flags(preprocessing: Mapping[str, Any]) -> str:
    """The flags that ask for squares such as these, apart from their size.

    Args:
        preprocessing: what `CropConfig.to_manifest` gives.
    """
    found = {"align": preprocessing["align"]}
    if found["align"] == "center":
        found["crop_fraction"] = f"{preprocessing['crop_fraction']:g}"
    if found["align"] == "detect":
        found["detector"] = preprocessing["detector"]
    return " ".join(f"{flag(name)} {value}" for name, value in found.items())
