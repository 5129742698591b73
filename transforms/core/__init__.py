"""What all other folders use: errors, text, keyed hashes, row ids, coders, worker processes."""
