"""Bringing files in: one store below all ways of doing it; and giving them out again."""
