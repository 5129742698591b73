import apache_beam as beam
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.transforms import userstate
from apache_beam.transforms.core import CallableWrapperDoFn
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)

from facemill.transforms.core import dofn_specs

BAG = BagStateSpec("bag", VarIntCoder())
OTHER_BAG = ReadModifyWriteStateSpec("other", VarIntCoder())
TIMER = TimerSpec("timer", TimeDomain.WATERMARK)
IN_BAG, IN_OTHER_BAG = (beam.DoFn.StateParam(spec) for spec in (BAG, OTHER_BAG))
AT_TIMER = beam.DoFn.TimerParam(TIMER)


class Stateless(beam.DoFn):
    def process(self, element):
        yield element


class Stateful(Stateless):
    def process(self, element, bag=IN_BAG, timer=AT_TIMER):
        yield element

    @on_timer(TIMER)
    def ends(self, other=IN_OTHER_BAG):
        return ()


class Twice(beam.DoFn):
    def process(self, element, one=IN_BAG, two=IN_BAG):
        yield element


@pytest.fixture(autouse=True)
def _remembered(monkeypatch):
    monkeypatch.setattr(userstate, "get_dofn_specs", dofn_specs._look_up)
    dofn_specs.remember_specs()


@pytest.mark.parametrize("kind", [Stateless, Stateful])
def test_the_answer_is_beams_own_for_each_step_of_a_class(kind):
    expected = dofn_specs._look_up(kind())
    assert [userstate.get_dofn_specs(kind()) for _ in range(2)] == [expected] * 2
    assert userstate.is_stateful_dofn(kind()) == (kind is Stateful)


def test_a_class_is_looked_at_once(monkeypatch):
    asked = []
    monkeypatch.setattr(dofn_specs, "_look_up", lambda dofn: asked.append(dofn) or (set(), set()))

    class Step(Stateless):
        pass

    for _ in range(3):
        assert userstate.get_dofn_specs(Step()) == (set(), set())
    assert len(asked) == 1


def test_what_a_caller_does_to_the_answer_changes_no_other():
    userstate.get_dofn_specs(Stateful())[0].clear()
    assert userstate.get_dofn_specs(Stateful()) == ({BAG, OTHER_BAG}, {TIMER})


def test_methods_that_are_attributes_of_a_step_are_its_own():
    """`beam.Map` and its like are steps of one class, whatever they call."""
    assert userstate.get_dofn_specs(CallableWrapperDoFn(len)) == (set(), set())
    assert userstate.get_dofn_specs(CallableWrapperDoFn(Stateless().process)) == (set(), set())
    stateful = CallableWrapperDoFn(Stateful().process)
    assert userstate.get_dofn_specs(stateful) == ({BAG}, {TIMER})
    assert userstate.get_dofn_specs(CallableWrapperDoFn(Stateless().process)) == (set(), set())


def test_a_wrong_step_is_refused_each_time():
    for _ in range(2):
        with pytest.raises(ValueError, match="duplicate"):
            userstate.get_dofn_specs(Twice())
