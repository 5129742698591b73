"""The duplicate search: exact and near duplicates, and conflicts between identities."""
