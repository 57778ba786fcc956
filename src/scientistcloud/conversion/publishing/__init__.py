"""Making a result visible in one step; generations and staging folders on disk."""
