"""Recipes that come with facemill; each file states its command, its time and its score."""
