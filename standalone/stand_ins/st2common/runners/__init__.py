"""Stand-in: what actions inherit from and how they are built."""
