"""Jobs that a person runs, and the command line over them."""
