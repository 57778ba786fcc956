"""The IDX v6 format: knows no source format and no MongoDB."""
