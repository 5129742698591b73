"""Elements that a DoFn emits in `finish_bundle`, where no input element gives the window."""

from typing import Any

from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue


def at_end(value: Any) -> WindowedValue:
    """An element in the global window, the only one that batch jobs have."""
    window = GlobalWindow()
    return WindowedValue(value, window.max_timestamp(), [window])
