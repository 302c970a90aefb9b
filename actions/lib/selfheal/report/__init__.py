"""What selfheal did, as documents for people."""
