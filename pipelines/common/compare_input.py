"""How the input of a complete artifact is compared with what the artifact was made of."""

# By what the disk or the store says of the files, or by reading them.
TIMES, CONTENTS = "times", "contents"
COMPARISONS = (TIMES, CONTENTS)
