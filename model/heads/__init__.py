"""Heads: embedding in, class logits out; they are trained with a network and then left behind."""
