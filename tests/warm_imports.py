"""What the commands of `tests.warm` have imported when they start."""

from facemill.pipelines.common.lazy_import import import_quietly

for _name in ("train", "ingest", "score", "match", "evaluate"):
    import_quietly(f"facemill.pipelines.{_name}.job")
import_quietly("facemill.pipelines.ingest.run")
