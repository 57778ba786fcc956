"""The documents in MongoDB: the only code that knows them."""
