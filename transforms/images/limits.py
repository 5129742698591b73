"""Limits of the photos that are read; imports nothing, for the command line."""

# More bytes than any camera's photo has; larger files are not read. Photos of 200 megapixels have
# up to 90 MB.
MAX_BYTES = 128 << 20
# Of the pixels that are decoded, checked against the header before a raster is allocated: 100
# megapixels are 300 MB of RGB.
MAX_PIXELS = 100_000_000
# Of a JPEG, which libjpeg can decode at a half, a quarter or an eighth of its size. Phones take
# photos of 200 megapixels.
MAX_JPEG_PIXELS = 256_000_000
# Pixels; a smaller image cannot show a recognizable face.
MIN_SIDE = 16
