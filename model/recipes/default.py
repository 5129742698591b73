"""The recipe without a name: MobileFaceNet with ArcFace, for collections of some size."""

from facemill.model.recipes.recipe import Recipe

RECIPE = Recipe()
