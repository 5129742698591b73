"""Errors of object stores, and which of them another attempt can mend."""

import errno

from facemill.transforms.core.errors import RunError, UsageError


class TransientError(Exception):
    """The store did not answer, or asked to come back later.

    Attributes:
        cause: in a few words.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class CredentialsError(UsageError):
    """No credentials for a store were found, or the store does not know them."""

    def __init__(self, url: str, cause: str) -> None:
        """Composes the sentence.

        Args:
            url: of the object.
            cause: what is wrong with them, as it follows "got".
        """
        self.url, self.cause = url, cause
        super().__init__(
            f"{url} must be reached with credentials that its store accepts, got {cause}; set the "
            "store's usual variables or flags, and run the command again."
        )


class ExpiredCredentialsError(RunError):
    """The credentials expired while the command ran."""

    def __init__(self, url: str) -> None:
        """Composes the sentence.

        Args:
            url: of the object.
        """
        self.url = url
        super().__init__(
            f"Credentials must be valid to the end, but those for {url} have expired; renew them "
            "and run the same command again, which goes on or starts anew."
        )


class BucketError(UsageError):
    """There is no such bucket."""

    def __init__(self, url: str) -> None:
        """Composes the sentence.

        Args:
            url: of an object in it.
        """
        self.url = url
        bucket = "/".join(url.split("/")[:3])
        super().__init__(
            f"{bucket} must be an existing bucket, but its store knows none of this name; make it "
            "or check the name and the endpoint."
        )


class SilentStoreError(RunError):
    """The store did not answer within the limit of time."""

    def __init__(self, url: str, cause: str, seconds: float) -> None:
        """Composes the sentence.

        Args:
            url: of the object.
            cause: the last failure.
            seconds: how long it was tried.
        """
        self.url, self.cause = url, cause
        super().__init__(
            f"The object store must answer for {url}, but for {seconds:.0f} s it did not "
            f"({cause}); check the network and the endpoint, then run the command again."
        )


def not_found(url: str) -> FileNotFoundError:
    """The error for an object that does not exist."""
    return FileNotFoundError(errno.ENOENT, "no such object", url)


def refused(url: str) -> PermissionError:
    """The error for an operation that the store does not permit."""
    return PermissionError(errno.EACCES, "the object store refuses access", url)
