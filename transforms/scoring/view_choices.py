"""Which squares of a crop can be embedded. No Beam here: the command line imports this."""

# Left and top of each square beside the crop itself, as shares of the room that it leaves: in the
# middle, then in the corners. A larger number of squares has those of the smaller ones.
PLACES = ((0.5, 0.5), (0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0))
MOST_CROPS = 1 + len(PLACES)
