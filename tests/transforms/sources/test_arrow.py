import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.transforms.sources.arrow import ARROW_ERRORS, is_binary, open_table


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no table" * 99])
def test_opening_a_file_that_is_no_table_raises_one_of_the_arrow_errors(data):
    with pytest.raises(ARROW_ERRORS):
        open_table(io.BytesIO(data))


def test_the_first_row_is_read_without_the_whole_row_group():
    class Counted(io.BytesIO):
        bytes_read = 0

        def read(self, size=-1):
            data = super().read(size)
            self.bytes_read += len(data)
            return data

    images = [bytes([number]) * 500_000 for number in range(64)]
    sink = io.BytesIO()
    # A page for each image: less than a page is never read.
    pages = {"data_page_size": 1, "write_batch_size": 1, "use_dictionary": False}
    pq.write_table(pa.table({"image": images}), sink, compression="none", **pages)
    stream = Counted(sink.getvalue())
    batches = open_table(stream).iter_batches(batch_size=1, use_threads=False)
    assert next(batches).column(0)[0].as_py() == images[0]
    assert stream.bytes_read < 8 * 500_000


def test_is_binary_is_true_for_bytes_and_false_for_text():
    assert is_binary(pa.binary())
    assert is_binary(pa.large_binary())
    assert not is_binary(pa.string())
