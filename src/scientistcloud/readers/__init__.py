"""Source formats: know no IDX writer and no MongoDB."""
