import subprocess
import sys

from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.sources.base import Ref


def test_a_chunk_unpacks_to_its_references():
    refs = [
        Ref(f"ada/{row}.jpg", "ada", f"ada/{row}.jpg", attributes=(("a", "b"),)) for row in (1, 2)
    ]
    chunk = Chunk.of(7, refs)
    assert (chunk.number, chunk.count, chunk.refs) == (7, 2, refs)


def test_the_modules_of_scan_workers_do_not_import_beam():
    # Its import would take each worker process a second of CPU.
    code = (
        "import sys; from facemill.transforms.scan import chunk, scan_chunk; "
        "sys.exit('apache_beam' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
