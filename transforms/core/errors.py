"""The errors that a person is meant to read: one sentence each, and the exit code they end in.

A sentence names a parameter in back quotes: "`output` must be new, ...". Whoever calls it something
else, as the command line does, says so by `naming` around the call; no sentence is rewritten.
"""

import copyreg
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_PARAMETER = re.compile(r"`([a-z][a-z0-9_]*)`")


class FacemillError(Exception):
    """A failure told in one sentence: what must hold, what was got, what to do.

    Its text is the sentence, with names of parameters in back quotes, or as `naming` has them.

    A subclass makes its sentence of what it is given, two arguments or more, and hands that alone
    to this class; what else it keeps are attributes, which pickle takes over.
    """

    exit_code = 1
    # Beam makes an error of a step anew, from its text and the step's name, unless it finds this
    # mark of its own: then type and attributes stay. A Beam that does not look for it cannot make
    # an error of its text alone that takes two arguments, and goes on with the text.
    _tagged_with_step = True
    # What `naming` said, the innermost first.
    _names: tuple[Mapping[str, str], ...] = ()

    def __str__(self) -> str:
        return _PARAMETER.sub(self._called, super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        # Made without `__init__`, which takes other arguments than the sentence.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    def call(self, names: Mapping[str, str]) -> None:
        """Has the sentence call parameters by other names, see `naming`."""
        self._names = (*self._names, dict(names))

    def _called(self, found: re.Match[str]) -> str:
        name = found[1]
        for names in self._names:
            name = names.get(name, name)
        return f"`{name}`" if name.isidentifier() else name


class UsageError(FacemillError):
    """What was asked for cannot be done: options or inputs are wrong. Exit code 2."""

    exit_code = 2


class RunError(FacemillError):
    """The run itself failed, or found data that is not what it claims to be. Exit code 1."""

    exit_code = 1


class ParameterError(UsageError):
    """A parameter has a value that cannot be used.

    The sentence is "`parameter` must ..., got VALUE; do ...." or "..., but ...; do ....".

    Attributes:
        parameter: its name.
        value: what it is.
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
        """Makes the sentence.

        Args:
            parameter: its name.
            value: what it is.
            must: what must hold, as it follows "must".
            do: what to do about it.
            got: what follows "got" where that is not the value alone.
            but: what follows "but" instead of "got" and the value.
        """
        self.parameter, self.value, self.must, self.do = parameter, value, must, do
        self._instead = f"got {value if got is None else got}" if but is None else f"but {but}"
        super().__init__(self._sentence())

    def advise(self, do: str) -> None:
        """Says what else is to be done about it, see `naming`."""
        self.do = do
        self.args = (self._sentence(),)

    def _sentence(self) -> str:
        return f"`{self.parameter}` must {self.must}, {self._instead}; {self.do}."


class MissingPackageError(UsageError):
    """Something needs a package that is not installed.

    Attributes:
        package: its name.
        install: what to install.
    """

    def __init__(self, who: str, package: str, install: str) -> None:
        """Makes the sentence.

        Args:
            who: needs the package, with the verb: "Reading s3://faces needs".
            package: its name.
            install: what follows "install" in what to do.
        """
        self.package, self.install = package, install
        super().__init__(f"{who} {package}, which is not installed; install {install}.")


class NotSharedError(RunError):
    """Something under the output that was made elsewhere is not there on this machine.

    Attributes:
        path: of what is not there.
        machine: name of the worker that does not see it, or None where the launcher does not.
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
    """Has errors of a block call its parameters by the caller's own names.

    Args:
        names: by parameter: the caller's parameter that the value came from, or the words that are
            to stand there without back quotes, as of an option. Blocks can lie in each other: the
            outer one has its names for what the inner one made of them.
        do: what to do about a parameter whose value cannot be used, where the caller knows better.
    """
    try:
        yield
    except FacemillError as error:
        error.call(names)
        if do is not None and isinstance(error, ParameterError):
            error.advise(do)
        raise
