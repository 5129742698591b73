"""Clients of object stores: S3 and Google Cloud Storage behind one small interface."""
