"""Letters: each write to another system, stored with what it tells and carried until it arrived."""
