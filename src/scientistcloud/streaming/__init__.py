"""From published results to bytes that viewers ask for; knows no HTTP framework."""
