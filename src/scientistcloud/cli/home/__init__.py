"""Where a command works: this computer's own service, or one that is set up elsewhere."""
