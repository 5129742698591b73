"""Faces in photos: where they are, which one counts, and how it is put upright."""
