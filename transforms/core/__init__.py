"""What every other room stands on: errors, text, keyed hashes, row ids, worker processes."""
