"""The state and timers of Beam's steps, which Beam is made to look up once for each class."""

from types import MethodType
from typing import Any
from weakref import WeakKeyDictionary

from apache_beam.transforms import userstate

_Specs = tuple[set[Any], set[Any]]

_by_class: WeakKeyDictionary[type, _Specs] = WeakKeyDictionary()
_look_up = userstate.get_dofn_specs


def remember_specs() -> None:
    """Makes Beam look once at the methods of each class of steps, in this process.

    `userstate.get_dofn_specs` inspects the signature of each method of a step, and Beam calls it
    whenever it wants to know whether the step keeps state: 1,900 times for an ingest, a third of
    the time of a small one. The answer follows from the class of the step alone, so it is kept.
    """
    userstate.get_dofn_specs = _specs


def _specs(dofn: Any) -> _Specs:
    # A method that is an attribute of the step itself, as in `beam.Map(something.method)`, can
    # differ between steps of a class.
    if any(isinstance(value, MethodType) for value in vars(dofn).values()):
        return _look_up(dofn)
    if type(dofn) not in _by_class:
        _by_class[type(dofn)] = _look_up(dofn)
    states, timers = _by_class[type(dofn)]
    return set(states), set(timers)
