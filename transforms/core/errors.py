"""The errors that a person is meant to read: one sentence each, and the exit code they end in."""


class FacemillError(Exception):
    """A failure told in one sentence: what must hold, what was got, what to do."""

    exit_code = 1


class UsageError(FacemillError):
    """What was asked for cannot be done: options or inputs are wrong. Exit code 2."""

    exit_code = 2


class RunError(FacemillError):
    """The run itself failed, or found data that is not what it claims to be. Exit code 1."""

    exit_code = 1
