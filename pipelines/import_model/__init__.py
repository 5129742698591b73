"""facemill import-model: a network that others trained as a model artifact."""
