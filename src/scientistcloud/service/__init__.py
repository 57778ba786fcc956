"""The background service: claim, supervise, settle."""
