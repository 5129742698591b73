"""Which photos are read at all; light, for the command line."""

# More bytes than any photo of a camera: what is larger is not read at all.
MAX_BYTES = 64 << 20
# Checked against the header, before a raster is allocated: 100 megapixels are 300 MB of RGB.
MAX_PIXELS = 100_000_000
# A face cannot be told from fewer.
MIN_SIDE = 16
