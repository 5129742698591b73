"""Sources: one for each layout of input, which lists its images and reads their bytes."""
