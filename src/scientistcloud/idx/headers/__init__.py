"""The texts that describe a dataset: .idx, .midx, and both as XML."""
