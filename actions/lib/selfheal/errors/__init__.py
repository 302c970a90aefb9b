"""What an error is: its class, severity and fingerprint, and how often it happens where."""
