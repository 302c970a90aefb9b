"""What to do about it: one pure function from facts to a strategy with its reasons."""
