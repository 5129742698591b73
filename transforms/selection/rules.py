"""The rules of balance as users write them; imports no heavy module, for the command line."""

from collections.abc import Iterable
from dataclasses import dataclass

from facemill.transforms.core.errors import ParameterError

# In the order in which they are applied.
MIN_IMAGES, CAP, OVERSAMPLE, EFFECTIVE_NUMBER = KINDS = (
    "min-images",
    "cap",
    "oversample",
    "effective-number",
)
# Most images or records that a rule may require: no class has so many, and 32 bits hold it.
MOST = 1_000_000_000


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        kind: `min-images` drops classes with fewer images; `cap` keeps at most so many of each;
            `oversample` writes images of small classes several times until there are so many
            records; `effective-number` weights each image by the effective number of its class
            (Cui et al. 2019).
        amount: images or records; of `effective-number`, beta in [0, 1).
        column: the attribute whose values are the classes, or None for identities.
    """

    kind: str
    amount: float
    column: str | None = None

    @property
    def removes(self) -> bool:
        """Whether the rule drops images; other rules give the remaining ones copies or weights."""
        return self.kind in (MIN_IMAGES, CAP)


def give_weights(kinds: Iterable[str]) -> bool:
    """Whether rules of these kinds give records weights; without such a rule they carry none."""
    return EFFECTIVE_NUMBER in kinds


def in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules in the order in which they are applied, however they were given.

    Rules that drop images come before rules that count the images that stay, or a cap would undo
    the minimum that oversampling reached. Within both, rules of identities come before rules of an
    attribute.
    """
    return tuple(sorted(rules, key=_rank))


def _rank(rule: Rule) -> tuple[bool, bool, int]:
    return not rule.removes, rule.column is not None, KINDS.index(rule.kind)


def parse(text: str) -> Rule:
    """`KIND=AMOUNT` or `KIND=AMOUNT@COLUMN`, as on the command line.

    Raises:
        ParameterError: the text is not a valid rule.
    """
    head, _, column = text.partition("@")
    kind, _, amount = head.partition("=")
    try:
        value = float(amount)
    except ValueError:
        value = -1.0
    whole = 1 <= value <= MOST and value == int(value)
    good = 0 <= value < 1 if kind == EFFECTIVE_NUMBER else whole
    if kind not in KINDS or not good or ("@" in text and not column):
        raise ParameterError(
            "balance",
            text,
            must="be min-images=N, cap=N, oversample=N or effective-number=BETA with N from 1 to "
            f"{MOST:,} and BETA below 1, each with @COLUMN or without",
            got=repr(text),
            do="write cap=100, say",
        )
    return Rule(kind, value, column or None)
