"""What people do with datasets: list, describe, create, change, share, delete and bring back."""
