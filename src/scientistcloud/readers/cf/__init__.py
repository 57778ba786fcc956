"""The CF conventions: variables on grids, packing, times; shared by NetCDF and Zarr."""
