"""How hard duplicates are searched, and what becomes of conflicts; light, for the command line."""

LEVELS = ("off", "exact", "near", "thorough")

DROP, KEEP_MAJORITY, QUARANTINE = "drop", "keep-majority", "quarantine"
POLICIES = (DROP, KEEP_MAJORITY, QUARANTINE)
