"""Errors for people to read: each has a one-sentence message and an exit code.

A sentence names a parameter in back quotes: "`output` must be new, ...". A caller that has another
name for the parameter, such as a flag, wraps the call in `naming`; no sentence is rewritten.
"""

import copyreg
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_PARAMETER = re.compile(r"`([a-z][a-z0-9_]*)`")


class FacemillError(Exception):
    """A failure described in one sentence: what must hold, what was got, what to do.

    `str` gives the sentence, with names of parameters in back quotes or replaced by `naming`.

    The constructor of a subclass takes two or more arguments, composes the sentence from them and
    passes only the sentence to this class. It keeps other values as attributes, which are pickled.
    """

    exit_code = 1
    # Beam replaces an error of a step by a new one, made of its text and the step's name, unless
    # the error has this attribute of Beam's: then type and attributes stay. A version of Beam that
    # does not read it cannot construct an error that takes two arguments, and reports the text.
    _tagged_with_step = True
    # The mappings given to `naming`, the innermost block's first.
    _names: tuple[Mapping[str, str], ...] = ()

    def __str__(self) -> str:
        return _PARAMETER.sub(self._called, super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        # Unpickled without `__init__`, whose arguments differ from the sentence.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    def call(self, names: Mapping[str, str]) -> None:
        """Replaces names of parameters in the sentence, see `naming`."""
        self._names = (*self._names, dict(names))

    def _called(self, found: re.Match[str]) -> str:
        name = found[1]
        for names in self._names:
            name = names.get(name, name)
        return f"`{name}`" if name.isidentifier() else name


class UsageError(FacemillError):
    """The options or the inputs are wrong, so the command cannot run. Exit code 2."""

    exit_code = 2


class RunError(FacemillError):
    """The run failed, or it read data that is damaged or inconsistent. Exit code 1."""

    exit_code = 1


class ParameterError(UsageError):
    """A parameter has a value that cannot be used.

    The sentence is "`parameter` must ..., got VALUE; do ...." or "..., but ...; do ....".

    Attributes:
        parameter: its name.
        value: its value.
        must: what must hold, as it follows "must".
        do: what to do about it.
    """

    def __init__(
        self,
        parameter: str,
        value: object,
        *,
        must: str,
        do: str,
        got: str | None = None,
        but: str | None = None,
    ) -> None:
        """Composes the sentence.

        Args:
            parameter: its name.
            value: its value.
            must: what must hold, as it follows "must".
            do: what to do about it.
            got: what follows "got", where that is more than the value.
            but: what follows "but", which replaces "got" and the value.
        """
        self.parameter, self.value, self.must, self.do = parameter, value, must, do
        self._instead = f"got {value if got is None else got}" if but is None else f"but {but}"
        super().__init__(self._sentence())

    def advise(self, do: str) -> None:
        """Replaces what to do about the value, see `naming`."""
        self.do = do
        self.args = (self._sentence(),)

    def _sentence(self) -> str:
        return f"`{self.parameter}` must {self.must}, {self._instead}; {self.do}."


class MissingPackageError(UsageError):
    """An operation needs a package that is not installed.

    Attributes:
        package: its name.
        install: what to install.
    """

    def __init__(self, who: str, package: str, install: str) -> None:
        """Composes the sentence.

        Args:
            who: the operation that needs the package, with the verb: "Reading s3://faces needs".
            package: its name.
            install: what follows "install" in the sentence.
        """
        self.package, self.install = package, install
        super().__init__(f"{who} {package}, which is not installed; install {install}.")


class NotSharedError(RunError):
    """A machine does not see a file or folder under the output that another machine wrote.

    Attributes:
        path: of the missing file or folder.
        machine: name of the worker that does not see it, or None for the launcher.
    """

    def __init__(self, path: str, machine: str | None) -> None:
        self.path, self.machine = path, machine
        if machine is None:
            super().__init__(
                "`output` must be on storage that the launcher and all workers see at the same "
                f"path, but {path}, which a worker wrote, is not there; mount it everywhere or "
                "give another path."
            )
        else:
            super().__init__(
                f"`output` must be on storage that all workers see at the same path, but {path} is "
                f"not there on {machine}; mount it on every worker or give another path."
            )


@contextmanager
def naming(names: Mapping[str, str], do: str | None = None) -> Iterator[None]:
    """Makes errors raised in a block use the caller's names for parameters.

    Args:
        names: parameter to the caller's name for it: an identifier, which stays in back quotes, or
            other text, such as a flag, which replaces name and quotes. Blocks can be nested: the
            outer block maps the names that the inner block gave.
        do: what to do about a value that cannot be used; replaces the error's own advice.
    """
    try:
        yield
    except FacemillError as error:
        error.call(names)
        if do is not None and isinstance(error, ParameterError):
            error.advise(do)
        raise
