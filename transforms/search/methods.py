"""Methods of clustering; light, since the command line reads it."""

COMPONENTS, WHISPERS = "components", "whispers"
METHODS = (COMPONENTS, WHISPERS)
