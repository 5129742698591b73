"""facemill evaluate: embeddings judged by a protocol of the field."""
