"""The one jinja2 environment of the reports: every value is escaped unless it is `Markup`."""

import functools

import jinja2
from markupsafe import Markup

__all__ = ["Markup", "fill"]


@functools.cache
def _template(source: str) -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    return environment.from_string(source)


def fill(source: str, **values: object) -> Markup:
    """Fills a template; strings are escaped, `Markup` is taken as it is.

    Args:
        source: a jinja2 template, written by this project (never by a user).
        **values: what the template names; a name it does not find raises
            `jinja2.UndefinedError`.
    """
    return Markup(_template(source).render(**values))
