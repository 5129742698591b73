"""Levels of the duplicate search, policies for conflicts, and what counts as a copy."""

LEVELS = ("off", "exact", "near", "thorough")

DROP, KEEP_MAJORITY, QUARANTINE = "drop", "keep-majority", "quarantine"
POLICIES = (DROP, KEEP_MAJORITY, QUARANTINE)

# The largest local difference of two images that are one photo, see docs/duplicates.md. Below the
# least, compression and resampling are taken for differences, and the comparison does not measure
# more finely; above the most, thumbnails have discarded the pair already.
COPY_DIFFERENCE, MIN_COPY_DIFFERENCE, MAX_COPY_DIFFERENCE = 0.24, 0.12, 0.6
