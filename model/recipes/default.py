"""The recipe without a name: MobileFaceNet with ArcFace, for collections of some size."""

from model.recipe import Recipe

RECIPE = Recipe()
