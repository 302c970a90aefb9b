"""Log files followed like `tail -F` into the same parser."""
