"""facemill synthesize: a labeled collection of synthetic faces."""
