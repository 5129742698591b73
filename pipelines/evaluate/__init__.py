"""facemill evaluate: embeddings to the figures of a benchmark's protocol."""
