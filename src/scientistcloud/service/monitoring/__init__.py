"""What a service tells of itself: health, metrics, traces."""
