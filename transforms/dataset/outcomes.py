"""The outcomes that an image can have."""

KEPT = "kept"
DUPLICATE = "duplicate"
CONFLICT = "conflict"
REJECTED = "rejected"
DROPPED = "dropped"
OUTCOMES = (KEPT, DUPLICATE, CONFLICT, REJECTED, DROPPED)
