"""Runtimes: what runs the network of a model artifact, ours or a foreign one."""
