"""Seeing documents and statuses change, whoever changes them."""
