"""Blocks as they lie on disk: layouts, codecs, block files, ARCO, checksums."""
