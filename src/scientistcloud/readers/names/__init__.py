"""What the names of files say: numbers, words, and what the files are to each other. Pure."""
