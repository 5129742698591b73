"""Finding the same picture again: exact and near duplicates, and conflicts between identities."""
