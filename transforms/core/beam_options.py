"""Beam's options, with views that are made once."""

from typing import Any, TypeVar

from apache_beam.options.pipeline_options import PipelineOptions

_Options = TypeVar("_Options", bound=PipelineOptions)

_VIEWS = "_views"


class OptionsWithViews(PipelineOptions):
    """Options that keep each view of them.

    `PipelineOptions.view_as` builds a parser and parses the flags at each call, and Beam calls it
    at each type check while it builds a graph: 2,500 times for an ingest. A view holds no values of
    its own, all are in the dictionary that the views share, so one view of a class serves all
    calls.
    """

    def view_as(self, cls: type[_Options]) -> _Options:
        """The view of these options as a class of options."""
        # Attributes of options are values of flags, so this one is set past their `__setattr__`.
        views = self.__dict__.setdefault(_VIEWS, {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles are without the views, which they make anew."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != _VIEWS}
