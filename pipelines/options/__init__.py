"""The options of each command: light modules that import neither Beam nor TensorFlow."""
