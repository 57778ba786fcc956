"""The order of the queue: who is next, fair between users, and when a turn comes."""
