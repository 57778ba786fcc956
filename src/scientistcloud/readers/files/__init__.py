"""Files of an upload: listed, opened, decompressed, and what their names say."""
