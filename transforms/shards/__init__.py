"""The last stage of ingest: it writes shards, index and statistics."""
