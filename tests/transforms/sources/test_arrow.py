import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.transforms.sources.arrow import ARROW_ERRORS, is_binary, open_table


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no table" * 99])
def test_what_is_no_table_raises_one_of_the_known_errors(data):
    with pytest.raises(ARROW_ERRORS):
        open_table(io.BytesIO(data))


def test_a_row_group_is_not_read_whole_for_its_first_row():
    class Counted(io.BytesIO):
        taken = 0

        def read(self, size=-1):
            data = super().read(size)
            self.taken += len(data)
            return data

    images = [bytes([number]) * 500_000 for number in range(64)]
    sink = io.BytesIO()
    # A page for each image: less than a page is never read.
    pages = {"data_page_size": 1, "write_batch_size": 1, "use_dictionary": False}
    pq.write_table(pa.table({"image": images}), sink, compression="none", **pages)
    stream = Counted(sink.getvalue())
    batches = open_table(stream).iter_batches(batch_size=1, use_threads=False)
    assert next(batches).column(0)[0].as_py() == images[0]
    assert stream.taken < 8 * 500_000


def test_bytes_are_told_from_texts():
    assert is_binary(pa.binary())
    assert is_binary(pa.large_binary())
    assert not is_binary(pa.string())
