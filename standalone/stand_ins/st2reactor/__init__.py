"""Stand-in for the part of StackStorm's reactor that sensors import."""
