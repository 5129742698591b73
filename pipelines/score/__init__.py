"""facemill score: photos to embeddings."""
