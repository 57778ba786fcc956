"""Going on where another attempt ended: checkpoints, their journal, and taking files over."""
