"""One module for each format: bytes in, passages out. None of them does any I/O."""
