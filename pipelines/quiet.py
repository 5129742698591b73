"""Importing a job without the chatter that TensorFlow's native code prints while it loads."""

import contextlib
import importlib
import os
import sys
import tempfile
from types import ModuleType


def import_quietly(name: str) -> ModuleType:
    """Imports a module; what is written to stderr meanwhile is shown only if the import fails.

    TensorFlow tells of every accelerator that a machine does not have, before any of its own
    settings for that are read, so its file descriptor is the only place to hold it back.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, contextlib.ExitStack() as restore:
        stderr = os.dup(2)
        restore.callback(os.close, stderr)
        restore.callback(os.dup2, stderr, 2)
        os.dup2(held.fileno(), 2)
        try:
            return importlib.import_module(name)
        except BaseException:
            os.dup2(stderr, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            sys.stderr.flush()
