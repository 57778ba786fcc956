"""Rasters of remote sensing."""
