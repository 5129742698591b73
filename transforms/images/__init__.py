"""Decoding photos to pixels, resizing and encoding them, and measuring and hashing them."""
