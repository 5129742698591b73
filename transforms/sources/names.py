"""The table of input formats. It imports nothing, so that help texts are shown fast.

A new format needs one line here. `registry.build` imports its class when it is used.
"""

from typing import NamedTuple


class Format(NamedTuple):
    """A layout of input.

    Attributes:
        target: `module:Class`.
        summary: a short description of the layout, for help texts.
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
    "bin": Format(
        "facemill.transforms.sources.pair_bin:PairBin", "pairs of insightface's benchmarks"
    ),
    "manifest": Format(
        "facemill.transforms.sources.manifest:Manifest", "a CSV, JSONL or Parquet of paths"
    ),
}
FORMATS = tuple(TABLE)
