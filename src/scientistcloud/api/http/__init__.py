"""What carries answers over HTTP, whatever they answer: framing, caching, ranges, problems."""
