"""TensorFlow side: networks, training, export, metrics and protocols."""
