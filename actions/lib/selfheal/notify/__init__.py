"""Messages to people: what they say, and the outbox that sends each until it has arrived."""
