"""A dataset's document, and every transition that it can take."""
