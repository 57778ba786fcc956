"""Images of X-ray detectors at synchrotrons and in laboratories."""
