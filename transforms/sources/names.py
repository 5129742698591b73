"""The formats' names, for the command line; nothing heavy is imported for them.

A format is added by its line here: the class is imported when it is asked for.
"""

from typing import NamedTuple


class Format(NamedTuple):
    """A layout of input.

    Attributes:
        target: `module:Class`.
        summary: of the layout, for help texts.
    """

    target: str
    summary: str


TABLE = {
    "folders": Format(
        "facemill.transforms.sources.folders:Folders", "one folder of images per identity"
    ),
    "lfw": Format("facemill.transforms.sources.folders:Lfw", "Labeled Faces in the Wild"),
    "casia-rec": Format(
        "facemill.transforms.sources.recordio:RecordIO", "NAME.rec and NAME.idx of MXNet"
    ),
    "megaface": Format(
        "facemill.transforms.sources.megaface:MegaFace", "FlickrFinal2 and FaceScrub"
    ),
    "webdataset": Format("facemill.transforms.sources.webdataset:WebDataset", "shards *.tar"),
    "parquet": Format(
        "facemill.transforms.sources.parquet:ParquetTables", "tables with an image column"
    ),
    "tfrecord": Format(
        "facemill.transforms.sources.tfrecords:TFRecords", "shards of tf.train.Example"
    ),
    "manifest": Format(
        "facemill.transforms.sources.manifest:Manifest", "a CSV, JSONL or Parquet of paths"
    ),
}
FORMATS = tuple(TABLE)
