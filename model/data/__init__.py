"""From a dataset to the batches that a network is trained on."""
