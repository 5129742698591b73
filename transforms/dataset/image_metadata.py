"""Image metadata: the columns of the tables that the scan writes, one row per image."""

import pyarrow as pa

from facemill.transforms.dataset.records import QUALITY

METADATA = pa.schema(
    [
        # From the listing.
        ("image_id", pa.string()),
        ("source", pa.string()),
        ("identity", pa.string()),
        ("attributes", pa.map_(pa.string(), pa.string())),
        # Why it is rejected; "" and null for a usable image. A rejected one has nulls below.
        ("reason", pa.string()),
        ("reason_code", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        # Of the decoded pixels; if the source's landmarks align it, of the pixels and landmarks.
        ("pixel_sha256", pa.string()),
        ("sharpness", pa.float32()),
        ("brightness", pa.float32()),
        ("contrast", pa.float32()),
        ("colorfulness", pa.float32()),
        # Share of the photo's area in flat margins.
        ("border", pa.float32()),
        ("fingerprint", pa.binary(16)),
        ("channel_mean", pa.list_(pa.float32(), 3)),
        ("channel_square_mean", pa.list_(pa.float32(), 3)),
        # Of an image that another dataset did not keep: its outcome there. The index has columns of
        # the same names, which hold the outcomes of this run.
        ("outcome", pa.string()),
        ("duplicate_of", pa.string()),
        # From the detector, where one is used.
        ("faces", pa.int16()),
        ("face_score", pa.float32()),
        # Not of fixed size: Parquet cannot read back a fixed-size list column with nulls.
        ("face_box", pa.list_(pa.float32())),
        # The source's spelling of the identity, where it differs from its normal form.
        ("identity_source", pa.string()),
    ]
)

# The columns that the statistics of the train split need.
ANALYZED = ("identity", "channel_mean", "channel_square_mean", *QUALITY)
