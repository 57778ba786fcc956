"""Messages of weather services."""
