"""The outcomes of an image: every value of the index column `outcome`."""

KEPT = "kept"
DUPLICATE = "duplicate"
CONFLICT = "conflict"
REJECTED = "rejected"
DROPPED = "dropped"
OUTCOMES = (KEPT, DUPLICATE, CONFLICT, REJECTED, DROPPED)
