"""Names of a network's layers that are the same in every process."""

import re
from collections import Counter
from collections.abc import Sequence

# Keras numbers layers of one kind across all models of a process.
_NUMBER = re.compile(r"_\d+$")
# An optimizer's variables are named after those of the network, `conv2d_7_kernel_momentum`.
_INNER_NUMBER = re.compile(r"_\d+(?=_|$)")


def of_variables(paths: Sequence[str]) -> list[str]:
    """The name of the layer that holds each variable, numbered in order where several share it.

    Args:
        paths: of the variables, in the network's order, such as `conv2d_7/kernel`.

    Returns:
        Names such as `conv2d 3`, one for each path; variables of one layer have the same.
    """
    folders = [path.rpartition("/")[0] for path in paths]
    plain = {folder: _NUMBER.sub("", folder) for folder in folders}
    shared = Counter(plain.values())
    names: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for folder, name in plain.items():
        seen[name] += 1
        names[folder] = f"{name} {seen[name]}" if shared[name] > 1 else name
    return [names[folder] for folder in folders]


def variable_names(paths: Sequence[str]) -> list[str]:
    """A unique name for each variable: layer and kind, such as `conv2d 3/kernel`."""
    names = [
        f"{layer}/{_INNER_NUMBER.sub('', path.rpartition('/')[2])}"
        for layer, path in zip(of_variables(paths), paths, strict=True)
    ]
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique
