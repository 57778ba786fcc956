"""Carrying a plan out: bricks read, cut into blocks, handed on."""
