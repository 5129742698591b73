"""The first stage of ingest: every listed photo is read once, measured and staged."""
