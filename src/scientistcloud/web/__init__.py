"""The page: its source (TypeScript) and what is built of it (`./run page`)."""
