"""Recordings of seismic surveys."""
