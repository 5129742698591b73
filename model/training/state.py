"""What a checkpoint holds, by names that people can read, and how another one differs from it."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from facemill.model.training import layer_names

# As `tf.train.Checkpoint` names what is in a dictionary `state`.
_PREFIX, _SUFFIX = "state/", "/.ATTRIBUTES/VARIABLE_VALUE"
_SHOWN = 3


def named(parts: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """TensorFlow's variables by name, such as `network/conv2d 3/kernel`.

    Args:
        parts: of the run, each with its variables of Keras or TensorFlow, in a fixed order.
    """
    found = {}
    for part, variables in parts.items():
        paths = [getattr(one, "path", one.name) for one in variables]
        names = layer_names.variable_names(paths)
        for name, one in zip(names, variables, strict=True):
            found[f"{part}/{name}"] = one.value if isinstance(one, keras.Variable) else one
    return found


def shapes(variables: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of each variable."""
    return {name: tuple(one.shape) for name, one in variables.items()}


def shapes_in(path: str) -> dict[str, tuple[int, ...]]:
    """The shape of each variable in a checkpoint of `tf.train.Checkpoint(state=...)`.

    Args:
        path: of the checkpoint, without extension.

    Raises:
        tf.errors.OpError, ValueError: it cannot be read.
    """
    found = tf.train.load_checkpoint(path).get_variable_to_shape_map()
    return {
        # TensorFlow writes / as .S and . as two of them.
        name[len(_PREFIX) : -len(_SUFFIX)].replace(".S", "/").replace("..", "."): tuple(shape)
        for name, shape in found.items()
        if name.startswith(_PREFIX) and name.endswith(_SUFFIX)
    }


def differences(
    there: Mapping[str, tuple[int, ...]], here: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """What differs between a checkpoint and the model, a phrase for each variable.

    Args:
        there: shapes of the checkpoint's variables.
        here: of the model's.
    """
    found = []
    for name in sorted({*there, *here}):
        if there.get(name) != here.get(name):
            found.append(f"{name}: there {_shown(there, name)}, here {_shown(here, name)}")
    return found


def summary(differing: Sequence[str]) -> str:
    """The first differences and the number of the others."""
    text = "; ".join(differing[:_SHOWN])
    rest = len(differing) - _SHOWN
    return f"{text}; and {rest:,} more" if rest > 0 else text


def _shown(shapes: Mapping[str, tuple[int, ...]], name: str) -> str:
    if name not in shapes:
        return "none"
    return " x ".join(map(str, shapes[name])) or "a number"
