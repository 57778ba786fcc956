/** The kinds of instruments that the server knows; `OTHER` finds out by itself. */

export const SENSORS = ["OTHER", "TIFF", "TIFF RGB", "NETCDF", "HDF5", "4D_NEXUS", "IDX", "RGB", "MAPIR"];
