"""How the numbers of an embedding are stored. No Beam here: the command line imports this."""

FLOAT32 = "float32"
FLOAT16 = "float16"
INT8 = "int8"
DTYPES = (FLOAT32, FLOAT16, INT8)
