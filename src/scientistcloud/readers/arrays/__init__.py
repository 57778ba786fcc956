"""What formats of stored arrays share: axes, attributes, numbers, grids, sets of volumes."""
