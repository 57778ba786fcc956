"""Who may do what: pure decisions over a dataset's document, and the proofs of who somebody is."""
