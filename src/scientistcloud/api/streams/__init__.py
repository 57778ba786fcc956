"""Routes of streaming: from a request to a function of `streaming`, and back."""
