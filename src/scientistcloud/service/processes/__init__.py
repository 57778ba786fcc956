"""The warm process and its children, and how they speak with the service."""
