"""What the scan knows of each image: the columns of the facts tables."""

import pyarrow as pa

from facemill.transforms.dataset.records import QUALITY

METADATA = pa.schema(
    [
        # Of the listing.
        ("image_id", pa.string()),
        ("source", pa.string()),
        ("identity", pa.string()),
        ("attributes", pa.map_(pa.string(), pa.string())),
        # Why it is rejected; "" and null for an image that can be used. What follows is then null.
        ("reason", pa.string()),
        ("reason_code", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        # Of the decoded pixels; with landmarks for alignment of these and the landmarks.
        ("pixel_sha256", pa.string()),
        ("sharpness", pa.float32()),
        ("brightness", pa.float32()),
        ("contrast", pa.float32()),
        ("fingerprint", pa.binary(16)),
        ("channel_mean", pa.list_(pa.float32(), 3)),
        ("channel_square_mean", pa.list_(pa.float32(), 3)),
        # Of an image that another dataset set aside: what became of it there. The index has columns
        # of these names, which tell of the run itself.
        ("outcome", pa.string()),
        ("duplicate_of", pa.string()),
        # Of the detector, where there is one.
        ("faces", pa.int16()),
        ("face_score", pa.float32()),
        # Not of fixed size: Parquet cannot read such a column back where some rows are null.
        ("face_box", pa.list_(pa.float32())),
    ]
)

# What the statistics of the train split need; the rest need not travel there.
ANALYZED = ("identity", "channel_mean", "channel_square_mean", *QUALITY)
