import pytest
import tensorflow as tf

from facemill.model.training.failures import failures_in_sentences
from facemill.transforms.core.errors import RunError

OOM = "OOM when allocating tensor with shape[65536,112,112,64]\nand more"
DISK = "{{node Save}} /out/" + "x" * 300 + "/ckpt-7.data; No space left on device"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (tf.errors.ResourceExhaustedError(None, None, OOM), r"fit into memory.*lower `batch_size`"),
        (MemoryError(), r"fit into memory, but an allocation failed; lower `batch_size`"),
        (tf.errors.ResourceExhaustedError(None, None, DISK), r"writable.*No space left.*make room"),
        (tf.errors.UnknownError(None, None, "x; File too large"), r"writable.*lift the limit"),
        (tf.errors.InternalError(None, None, ""), r"must work on this machine.*InternalError"),
    ],
)
def test_a_machine_that_is_too_small_is_reported_in_one_sentence(error, said):
    with pytest.raises(RunError, match=said) as refused, failures_in_sentences():
        raise error
    assert "\n" not in str(refused.value)
    assert "{{" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_other_errors_pass():
    with pytest.raises(RunError, match="as it was"), failures_in_sentences():
        raise RunError("as it was")
    with pytest.raises(ValueError, match="of ours"), failures_in_sentences():
        raise ValueError("of ours")
