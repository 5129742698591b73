"""The scripts of deploy/flink are run as files; here they are imported."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "deploy" / "flink"
sys.path.insert(0, str(FOLDER))
