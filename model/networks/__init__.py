"""Networks: standardized pixels in, embedding out."""
