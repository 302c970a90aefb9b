"""Running the pack itself: housekeeping, and a check of the configuration."""
