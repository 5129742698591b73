"""facemill ingest: photos to a dataset."""
