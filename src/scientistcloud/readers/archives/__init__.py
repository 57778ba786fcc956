"""Archives: what they are, what is in them, and unpacking them safely."""
