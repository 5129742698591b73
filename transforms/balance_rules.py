"""The rules of balance as a person writes them; light, for the command line."""

from dataclasses import dataclass

from transforms.errors import UsageError

KINDS = ("min-images", "cap", "oversample", "effective-number")


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        kind: `min-images` drops classes with fewer images; `cap` keeps at most so many of each;
            `oversample` writes images of small classes several times until there are so many
            records; `effective-number` weighs each image by its class's (Cui et al. 2019).
        amount: images or records; of `effective-number`, beta in [0, 1).
        column: the attribute whose values are the classes, or None for identities.
    """

    kind: str
    amount: float
    column: str | None = None


def parse(text: str) -> Rule:
    """`KIND=AMOUNT` or `KIND=AMOUNT@COLUMN`, as on the command line.

    Raises:
        UsageError: it is no such rule.
    """
    head, _, column = text.partition("@")
    kind, _, amount = head.partition("=")
    try:
        value = float(amount)
    except ValueError:
        value = -1.0
    whole = value >= 1 and value == int(value) if value < 1e18 else False
    good = 0 <= value < 1 if kind == "effective-number" else whole
    if kind not in KINDS or not good or ("@" in text and not column):
        raise UsageError(
            f"--balance must be min-images=N, cap=N, oversample=N or effective-number=BETA with "
            f"BETA below 1, each with @COLUMN or without, got {text!r}; write cap=100, say."
        )
    return Rule(kind, value, column or None)
