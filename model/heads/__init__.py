"""Heads: embedding in, class logits out; trained with a network and not exported."""
