"""facemill compact: embeddings of many runs as one set."""
