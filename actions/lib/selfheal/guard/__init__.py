"""May we: locks, so that one response runs per incident and one remedy per target."""
