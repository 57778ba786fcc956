"""scientistcloud: uploaded scientific datasets become streamable multiresolution ones."""

__version__ = "0.1.0"
