"""Did it work, asked of the signal that raised the incident."""
