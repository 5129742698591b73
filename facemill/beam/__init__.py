"""Transforms for your own Beam pipeline: read photos, find duplicates, embed faces.

    faces = pipeline | facemill.beam.ReadImages("photos/")
    copies = faces | facemill.beam.FindDuplicates(level="near")
    embeddings = faces | facemill.beam.Embed("model/")

`FindDuplicates` and `Embed` take any PCollection of (key, bytes), with any unique keys.
"""

from facemill.beam.embed import Embed
from facemill.beam.find_duplicates import FindDuplicates
from facemill.beam.read_images import ReadImages
from facemill.beam.rows import Embedding, Exclusion, Image

__all__ = ["Embed", "Embedding", "Exclusion", "FindDuplicates", "Image", "ReadImages"]
