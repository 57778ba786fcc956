"""What an attempt is kept from: limits and calls of the kernel, files of others."""
