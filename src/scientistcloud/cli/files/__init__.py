"""Files that commands bring in, make up or write to."""
