"""The messages of `tf.train.Example`, without TensorFlow.

This module describes them field by field, as TensorFlow's `example.proto` and `feature.proto` do,
because importing TensorFlow takes seconds in every worker process. The description has its own
descriptor pool, so that it does not clash with TensorFlow's where both are loaded.

One thing differs: the map of names to features is described as its wire format, a repeated entry of
key and value. So the writer decides the order of the entries. For a map, Protocol Buffers uses an
order of its own, which may change: its C implementation writes `ab` before `a`.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "facemill"
_Field = descriptor_pb2.FieldDescriptorProto


def _message(name: str, *fields: descriptor_pb2.FieldDescriptorProto) -> Any:
    return descriptor_pb2.DescriptorProto(name=name, field=fields)


def _field(
    name: str, number: int, kind: int, label: int = _Field.LABEL_OPTIONAL, **more: Any
) -> descriptor_pb2.FieldDescriptorProto:
    return _Field(name=name, number=number, type=kind, label=label, **more)


def _submessage(name: str, number: int, of: str, **more: Any) -> Any:
    return _field(name, number, _Field.TYPE_MESSAGE, type_name=f".{_PACKAGE}.{of}", **more)


def _list_of(name: str, kind: int) -> descriptor_pb2.DescriptorProto:
    # Numbers of a repeated field are packed in proto3 unless the field says otherwise.
    return _message(name, _field("value", 1, kind, _Field.LABEL_REPEATED))


def _example_class() -> Any:
    feature = _message(
        "Feature",
        _submessage("bytes_list", 1, "BytesList", oneof_index=0),
        _submessage("float_list", 2, "FloatList", oneof_index=0),
        _submessage("int64_list", 3, "Int64List", oneof_index=0),
    )
    feature.oneof_decl.add(name="kind")
    file = descriptor_pb2.FileDescriptorProto(
        name="facemill/example.proto",
        package=_PACKAGE,
        syntax="proto3",
        message_type=[
            _list_of("BytesList", _Field.TYPE_BYTES),
            _list_of("FloatList", _Field.TYPE_FLOAT),
            _list_of("Int64List", _Field.TYPE_INT64),
            feature,
            _message(
                "FeatureEntry",
                _field("key", 1, _Field.TYPE_STRING),
                _submessage("value", 2, "Feature"),
            ),
            _message(
                "Features",
                _submessage("feature", 1, "FeatureEntry", label=_Field.LABEL_REPEATED),
            ),
            _message("Example", _submessage("features", 1, "Features")),
        ],
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))


# The message class of `tf.train.Example`.
Example: Any = _example_class()
