"""Reads the index of a dataset with pandas: outcomes, reasons and quality of all photos.

The index has one row for each photo that ingest listed, kept or not, with measures of its quality.

    python examples/read_index.py dataset
"""

import sys
from collections.abc import Sequence

import facemill


def main(arguments: Sequence[str]) -> None:
    """Prints outcomes, the most frequent reasons, and the median quality of each split."""
    dataset = arguments[0] if arguments else "demo/dataset"
    columns = ["identity", "outcome", "reason", "split", "sharpness", "brightness"]
    index = facemill.read_index(dataset, columns).to_pandas()

    print("outcomes:")
    print(index["outcome"].value_counts().to_string())

    excluded = index[index["outcome"] != "kept"]
    print("\nmost frequent reasons:")
    print(excluded["reason"].value_counts().head(5).to_string() if len(excluded) else "none")

    kept = index[index["outcome"] == "kept"].groupby("split")
    quality = kept[["sharpness", "brightness"]].median().astype(int)
    quality.insert(0, "identities", kept["identity"].nunique())
    quality.insert(1, "photos", kept.size())
    print("\nkept, with medians of quality:")
    print(quality.to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
