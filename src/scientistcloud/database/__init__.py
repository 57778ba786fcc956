"""The connection to MongoDB, and an embedded server."""
