"""Stand-in: services for tests, kept in memory."""
