"""The parameters of Dataflow Flex Templates, one template for each command: made from its flags.

A template gives each parameter as one `--name=value`. So names have underscores, as Beam's own, a
switch is true or false, and several values are one text with `;` between them.
"""

import argparse
import importlib
from collections.abc import Sequence
from typing import Any

from facemill.pipelines import cli
from facemill.pipelines.common.options import add_arguments
from facemill.pipelines.common.status import add_flag
from facemill.transforms.core.errors import UsageError

# Commands whose work is one Beam job; `evaluate` runs one for one of its protocols alone.
COMMANDS = ("ingest", "score", "detect", "match", "cluster")
SEPARATOR = ";"

# Beam's option that a template has too: the image of the workers, if not the template's own.
_IMAGE = "sdk_container_image"
_URL = "(gs|s3)://[^;]+"
_NUMBER = r"[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?"
_SHARE = f"(train|val|test)={_NUMBER}"
# Texts that are paths.
_URLS = (
    *("input", "output", "model", "root", "since", "crops", "probes", "gallery", "pairs"),
    *("embeddings", "exclude_dataset", "append_to", "status_file"),
    *("include_identities", "exclude_identities"),
)
# The form of each text, in POSIX's syntax, which the service has, without anchors.
_FORMS = {
    **dict.fromkeys(_URLS, _URL),
    **dict.fromkeys(("image_column", "label_column", "key"), ".+"),
    "balance": "[^;]+",
    "brightness": f"{_NUMBER},{_NUMBER}",
    "memory": "[0-9]+([.][0-9]+)? *([kKmMgG][iI]?[bB])?",
    "partition": "[A-Za-z0-9][A-Za-z0-9._=-]*",
    "split": f"{_SHARE}(,{_SHARE})*",
    "split_list": f"(train|val|test)={_URL}",
}


def metadata(command: str) -> dict[str, Any]:
    """The metadata of a command's template, in the form that `gcloud` takes as --metadata-file.

    Args:
        command: one of COMMANDS.

    Raises:
        KeyError: an option has a text whose form is not stated in this module.
    """
    return {
        "name": f"facemill {command}",
        "description": _sentence(options_module(command).SUMMARY),
        "streaming": False,
        "parameters": [*(_described(one) for one in _flags(command)), _image()],
    }


def options_module(command: str) -> Any:
    """The module that holds the options of a command."""
    return importlib.import_module(cli.module_of(command, "options"))


def parser_of(command: str) -> argparse.ArgumentParser:
    """A parser of the command's flags, without --help."""
    parser = cli.Parser(prog=f"facemill {command}", add_help=False, allow_abbrev=False)
    add_arguments(parser, options_module(command).OPTIONS)
    add_flag(parser)
    return parser


def words_of(command: str, given: Sequence[str]) -> list[str]:
    """The command's words for the words of a template.

    Args:
        command: one of COMMANDS.
        given: each `--name=value`; names that are not the command's are left as they are.

    Raises:
        UsageError: a switch is neither true nor false, or a word has no value.
    """
    flags = {_name(action): action for action in _flags(command)}
    found = []
    for word in given:
        name, is_given, value = word.removeprefix("--").partition("=")
        action = flags.get(name.replace("-", "_"))
        if action is None:
            found.append(word)
        elif not is_given:
            raise UsageError(f"--{name} must have a value, got none; write --{name}=VALUE.")
        else:
            found += _words(action, name, value)
    return found


def paths_of(command: str, options: Any) -> dict[str, str | tuple[str, ...] | None]:
    """What a command reads and writes: parameter to path or URL, several, or None.

    Args:
        command: one of COMMANDS.
        options: its options.
    """
    return {
        action.dest: getattr(options, action.dest)
        for action in _flags(command)
        if _name(action) in _URLS and hasattr(options, action.dest)
    }


def _words(action: argparse.Action, name: str, value: str) -> list[str]:
    """The words of one flag."""
    flag = action.option_strings[0]
    if isinstance(action, argparse.BooleanOptionalAction):
        if value not in ("true", "false"):
            raise UsageError(f"--{name} must be true or false, got {value!r}; give one of them.")
        return [flag if value == "true" else action.option_strings[1]]
    values = value.split(SEPARATOR) if _takes_several(action) else [value]
    # As one word: a value may begin with a dash.
    return [f"{flag}={one}" for one in values if one]


def _described(action: argparse.Action) -> dict[str, Any]:
    name = _name(action)
    text = str(action.help) % {"default": action.default} if action.help else ""
    if _takes_several(action):
        text += f"; several are written with {SEPARATOR} between them"
    elif action.default not in (None, argparse.SUPPRESS, ()):
        shown = str(action.default)
        text += f" (default: {shown.lower() if isinstance(action.default, bool) else shown})"
    form = _form(action)
    if _takes_several(action):
        form = f"{form}({SEPARATOR}{form})*"
    return {
        "name": name,
        "label": name.replace("_", " ").capitalize(),
        "helpText": _sentence(text),
        "isOptional": not action.required,
        "regexes": [f"^({form})$"],
        "paramType": "TEXT",
    }


def _image() -> dict[str, Any]:
    return {
        "name": _IMAGE,
        "label": "Image of the workers",
        "helpText": "The image of deploy/Dockerfile in a registry, by default the one that the "
        "template's image was built with.",
        "isOptional": True,
        "regexes": ["^([a-z0-9][-a-zA-Z0-9._/:@]+)$"],
        "paramType": "TEXT",
    }


def _form(action: argparse.Action) -> str:
    """The regular expression of one value, without anchors."""
    if isinstance(action, argparse.BooleanOptionalAction):
        return "true|false"
    if action.choices is not None:
        return "|".join(str(choice) for choice in action.choices)
    if action.type is int:
        return "[-+]?[0-9]+"
    if action.type is float:
        return _NUMBER
    return _FORMS[_name(action)]


def _name(action: argparse.Action) -> str:
    return action.option_strings[0].removeprefix("--").replace("-", "_")


def _takes_several(action: argparse.Action) -> bool:
    return type(action).__name__ in ("_AppendAction", "_ExtendAction")


def _flags(command: str) -> list[argparse.Action]:
    """The flags of a command, in the order of its help."""
    return parser_of(command)._actions


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
