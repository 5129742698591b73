"""Importing a job: without the chatter of TensorFlow's native code, and without wasted time."""

import atexit
import contextlib
import gc
import importlib
import os
import sys
import tempfile
from types import ModuleType


def import_quietly(name: str) -> ModuleType:
    """Imports a module; what is written to stderr meanwhile is shown only if the import fails.

    TensorFlow logs every accelerator that a machine lacks before it reads its own settings of the
    log, so the messages can only be held back at the file descriptor.

    Beam and TensorFlow make a million objects that live until the process ends. The garbage
    collector would search them while they load, while the job runs and when the process ends,
    which takes longer than a small job; so they are frozen.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Keras reads it when it is imported; facemill's networks are TensorFlow's.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, contextlib.ExitStack() as restore:
        stderr = os.dup(2)
        restore.callback(os.close, stderr)
        restore.callback(os.dup2, stderr, 2)
        os.dup2(held.fileno(), 2)
        gc.disable()
        restore.callback(gc.enable)
        try:
            module = importlib.import_module(name)
            gc.freeze()
            atexit.register(gc.freeze)
            return module
        except BaseException:
            os.dup2(stderr, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            sys.stderr.flush()
