"""Artifacts: manifests, records, the index, outcomes, splits and lists of identities."""
