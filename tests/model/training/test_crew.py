import numpy as np
import tensorflow as tf

from facemill.model.training.crew import Crew


def test_a_process_alone_leads_and_keeps_its_values(strategy):
    crew = Crew(strategy)
    assert (crew.is_chief, crew.count, crew.index, crew.replicas) == (True, 1, 0, 1)
    variable = tf.Variable([1.0, float("nan")])
    crew.share([variable])
    np.testing.assert_array_equal(variable.numpy(), [1.0, float("nan")])
    assert crew.from_chief(7) == 7
