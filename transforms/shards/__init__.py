"""The last stage of ingest: shards, index and statistics are written."""
