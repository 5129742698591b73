"""From the bytes of a photo to pixels, and what is measured on them."""
