"""Verification metrics over similarity scores, in numpy alone."""
