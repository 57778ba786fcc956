"""What formats of images share: planes, their likeness, mosaics of tiles."""
