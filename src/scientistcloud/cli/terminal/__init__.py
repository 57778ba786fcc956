"""How commands speak: arguments, messages, progress, pictures, Ctrl-C."""
