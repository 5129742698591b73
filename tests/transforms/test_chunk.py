import subprocess
import sys

from transforms.chunk import Chunk
from transforms.sources.base import Ref


def test_a_chunk_gives_back_its_references():
    refs = [
        Ref(f"ada/{row}.jpg", "ada", f"ada/{row}.jpg", attributes=(("a", "b"),)) for row in (1, 2)
    ]
    chunk = Chunk.of(7, refs)
    assert (chunk.number, chunk.count, chunk.refs) == (7, 2, refs)


def test_what_scan_workers_import_does_not_need_beam():
    # They would pay its import, a second of CPU each.
    code = "import sys, transforms.scan, transforms.chunk; sys.exit('apache_beam' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
