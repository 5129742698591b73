"""Levels of the duplicate search and policies for conflicts, for the command line."""

LEVELS = ("off", "exact", "near", "thorough")

DROP, KEEP_MAJORITY, QUARANTINE = "drop", "keep-majority", "quarantine"
POLICIES = (DROP, KEEP_MAJORITY, QUARANTINE)
