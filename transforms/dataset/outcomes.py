"""The outcomes that an image can have."""

KEPT = "kept"
DUPLICATE = "duplicate"
CONFLICT = "conflict"
REJECTED = "rejected"
DROPPED = "dropped"
OUTCOMES = (KEPT, DUPLICATE, CONFLICT, REJECTED, DROPPED)

# How the reason begins of who is left out for their name.
IDENTITY_IS = "identity is "
# How the reasons begin by which rules of balance drop an image for the size of a class.
IDENTITY_HAS = "identity has "
ATTRIBUTE_HAS = "its "
# How the reason ends of what a held-out set has.
HELD_OUT_NOTE = "in the held-out set"
