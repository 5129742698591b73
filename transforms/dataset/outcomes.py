"""The outcomes of an image: every value of the index column `outcome`."""

KEPT = "kept"
DUPLICATE = "duplicate"
CONFLICT = "conflict"
REJECTED = "rejected"
DROPPED = "dropped"
IGNORED = "ignored"
OUTCOMES = (KEPT, DUPLICATE, CONFLICT, REJECTED, DROPPED, IGNORED)
