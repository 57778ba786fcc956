"""Damaged inputs of every format, converted: each must end in right data or a catalogued error.

``python -m tests.fuzz --count 10000 --seed 1 [--seconds N] [--formats tiff,hdf5]``
"""
