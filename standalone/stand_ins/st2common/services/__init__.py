"""Stand-in: services that actions reach through `self.action_service`."""
