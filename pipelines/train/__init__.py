"""facemill train: a dataset to a model."""
