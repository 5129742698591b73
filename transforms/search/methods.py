"""Methods of search and of clustering; light, since the command line reads them."""

COMPONENTS, WHISPERS = "components", "whispers"
METHODS = (COMPONENTS, WHISPERS)

EXACT, IVF, HNSW = "exact", "ivf", "hnsw"
SEARCHES = (EXACT, IVF, HNSW)
