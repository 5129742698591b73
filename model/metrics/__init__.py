"""Metrics over similarity scores: verification, identification, clustering, intervals."""
