import subprocess
import sys

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor

from facemill.transforms.dataset.example_proto import Example


def described(message: Descriptor) -> descriptor_pb2.DescriptorProto:
    """The parts that affect the wire format: no packages, nesting and options of generated code."""
    proto = descriptor_pb2.DescriptorProto()
    message.CopyToProto(proto)
    # A map is a repeated entry.
    proto.ClearField("nested_type")
    proto.ClearField("options")
    for field in proto.field:
        field.type_name = field.type_name.rpartition(".")[2]
        field.ClearField("json_name")
        # TensorFlow asks for packed numbers, proto3 packs them anyway; `is_packed` is compared.
        field.ClearField("options")
    return proto


def messages(example: Descriptor) -> list[Descriptor]:
    """A message and all messages nested in it."""
    inner = [field.message_type for field in example.fields if field.message_type]
    return [example, *(one for message in inner for one in messages(message))]


@pytest.mark.slow
def test_the_messages_equal_those_of_tensorflow():
    import tensorflow as tf

    ours, theirs = messages(Example.DESCRIPTOR), messages(tf.train.Example.DESCRIPTOR)
    assert [message.name for message in ours] == [
        *("Example", "Features", "FeatureEntry", "Feature", "BytesList", "FloatList", "Int64List")
    ]
    assert list(map(described, ours)) == list(map(described, theirs))
    packed = [
        [[field.is_packed for field in one.fields] for one in all_] for all_ in (ours, theirs)
    ]
    assert packed[0] == packed[1]


@pytest.mark.slow
@pytest.mark.parametrize("first", ["tensorflow", "facemill.transforms.dataset.records"])
def test_both_definitions_can_be_imported_in_either_order(first):
    code = (
        f"import {first}; import tensorflow as tf; from facemill.transforms.dataset import records;"
        "data = records.encode_example({'a': (0.5, 2.0), 'b': b'x'});"
        "example = tf.train.Example.FromString(data);"
        "assert example.SerializeToString(deterministic=True) == data;"
        "assert records.decode_example(data) == {'a': [0.5, 2.0], 'b': b'x'}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.moderate
def test_encoding_and_decoding_do_not_import_tensorflow():
    code = (
        "import sys; from facemill.transforms.dataset import records;"
        "from facemill.transforms.scan import scan_chunk; from facemill.transforms.shards import "
        "write_shard; from facemill.transforms.sources import tfrecords;"
        "records.from_example(records.Record('a', 'b', b'c', (1,) * 3, (1,) * 3).to_example());"
        "sys.exit(any(name.split('.')[0] in ('tensorflow', 'apache_beam') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
