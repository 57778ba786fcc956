"""Damaged inputs of every format, converted: each must end in right data or a catalogued error.

``python -m tests.fuzz --count 10000 --seed 1 [--seconds N] [--formats tiff,hdf5]``
"""

# Before anything imports netCDF4, whose own HDF5 would answer Blosc when an original is written.
import h5py  # noqa: F401
import hdf5plugin  # noqa: F401
