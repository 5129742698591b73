"""Recipes that come with facemill; each file states command, training time and score."""
