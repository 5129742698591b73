"""facemill cluster: faces without names to people."""
