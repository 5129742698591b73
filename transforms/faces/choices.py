"""Names of the detectors and alignments; imports nothing, for the command line."""

# The first is the default.
DETECTORS = ("blazeface", "mtcnn")
ALIGNMENTS = ("none", "center", "landmarks", "detect")
