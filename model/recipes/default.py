"""The default recipe: MobileFaceNet with ArcFace, for large collections."""

from facemill.model.recipes.recipe import Recipe

RECIPE = Recipe()
