"""Speaking with a server from Python and from the command line."""
