"""``/api/v2``: the API that the page and programs use."""
