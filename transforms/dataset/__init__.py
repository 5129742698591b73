"""The artifacts: manifests, records, index rows, and what can become of an image."""
