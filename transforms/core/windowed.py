"""What a DoFn gives at the end of a bundle, where no element tells it the window."""

from typing import Any

from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue


def at_end(value: Any) -> WindowedValue:
    """An element of the one window that batch jobs have."""
    window = GlobalWindow()
    return WindowedValue(value, window.max_timestamp(), [window])
