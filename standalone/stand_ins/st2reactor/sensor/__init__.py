"""Stand-in: what sensors inherit from."""
