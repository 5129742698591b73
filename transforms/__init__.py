"""What happens to the data: plain functions and the PTransforms around them."""
