"""facemill match: probes against a gallery, or a list of pairs."""
