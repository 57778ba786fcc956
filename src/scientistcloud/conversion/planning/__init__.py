"""Deciding, before anything is written, what a conversion reads, holds and makes: pure values."""
