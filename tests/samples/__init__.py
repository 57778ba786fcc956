"""Every sample file converted, and compared value by value with an independent library.

``python -m tests.samples`` converts each case of the table with ``scientistcloud convert``, reads
the result with OpenVisus and the source with the format's own library, and prints what was made.
Nothing here imports a reader of ours: what is right was written down by hand.
"""
