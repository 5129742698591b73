"""Limits of the photos that are read; imports nothing, for the command line."""

# More bytes than any camera's photo has; larger files are not read.
MAX_BYTES = 64 << 20
# Checked against the header, before a raster is allocated: 100 megapixels are 300 MB of RGB.
MAX_PIXELS = 100_000_000
# Pixels; a smaller image cannot show a recognizable face.
MIN_SIDE = 16
