"""How many images have each value of each attribute, for collections without identities."""

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from facemill.transforms.dataset.outcomes import KEPT

# An attribute with more values names images rather than groups of them.
MOST_VALUES = 200


@dataclass
class AttributeCounts:
    """Sums over the index, one part in memory at a time.

    Attributes:
        listed: attribute to value to the number of images.
        kept: the same of the images that are kept.
    """

    listed: dict[str, Counter[str]] = field(default_factory=dict)
    kept: dict[str, Counter[str]] = field(default_factory=dict)
    _dropped: set[str] = field(default_factory=set)

    def add(self, part: pa.Table) -> None:
        """Adds a part: at least the columns `attributes` and `outcome`."""
        for counts, rows in (
            (self.listed, part),
            (self.kept, part.filter(pc.equal(part["outcome"], KEPT))),
        ):
            for chunk in rows["attributes"].chunks:
                self._count(counts, chunk)

    def _count(self, counts: dict[str, Counter[str]], chunk: pa.MapArray) -> None:
        pairs = pa.table({"name": chunk.keys, "value": chunk.items}).group_by(["name", "value"])
        for one in pairs.aggregate([([], "count_all")]).to_pylist():
            if one["name"] in self._dropped or one["value"] is None:
                continue
            values = counts.setdefault(one["name"], Counter())
            values[one["value"]] += one["count_all"]
            if len(values) > MOST_VALUES:
                self._dropped.add(one["name"])
                self.listed.pop(one["name"], None)
                self.kept.pop(one["name"], None)
