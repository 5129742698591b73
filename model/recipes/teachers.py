"""Whether a recipe goes with a teacher or with none; light, as `choices` is."""

from facemill.model.recipes.choices import TAUGHT
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.core.errors import ParameterError


def check_teacher(recipe: Recipe, is_taught: bool) -> None:
    """Checks head and weight of a recipe.

    Args:
        recipe: of the run.
        is_taught: whether there is a teacher.

    Raises:
        ParameterError: the recipe needs a teacher and there is none, or there is one and the
            recipe does not use it.
    """
    if recipe.head in TAUGHT:
        if not is_taught:
            raise ParameterError(
                "head",
                recipe.head,
                must="come with `teacher`, a model whose embeddings it learns",
                do="give that, or take another head",
            )
        return
    if is_taught and not recipe.teacher_weight:
        raise ParameterError(
            "teacher_weight",
            recipe.teacher_weight,
            must=f"be above 0 where a teacher is given beside the head {recipe.head}",
            do="give 10, say, or the head cosine, which learns from the teacher alone",
        )
    if recipe.teacher_weight and not is_taught:
        raise ParameterError(
            "teacher_weight",
            recipe.teacher_weight,
            must="be 0 without `teacher`",
            do="give a teacher, or leave it out",
        )
