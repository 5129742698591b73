"""img2dataset on local files; runs in an environment of its own, see benchmarks/ingest.py.

python peer_img2dataset.py INPUT OUTPUT WORKERS
"""

from __future__ import annotations

import os
import sys

import img2dataset
import pandas


def main() -> None:
    root, output, workers = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    rows = [
        (f"file://{root}/{folder}/{name}", folder)
        for folder in sorted(os.listdir(root))
        for name in sorted(os.listdir(os.path.join(root, folder)))
    ]
    listing = f"{output}.parquet"
    pandas.DataFrame(rows, columns=["url", "caption"]).to_parquet(listing)
    img2dataset.download(
        url_list=listing,
        input_format="parquet",
        url_col="url",
        caption_col="caption",
        output_folder=output,
        output_format="webdataset",
        processes_count=workers,
        # 2, 8 and 32 were equally fast; its default of 256 is for slow servers.
        thread_count=8,
        image_size=112,
        resize_mode="center_crop",
        encode_quality=95,
        number_sample_per_shard=1000,
        enable_wandb=False,
    )


if __name__ == "__main__":
    main()
