"""Formats of one array a file: a header, and samples that are read by position."""
