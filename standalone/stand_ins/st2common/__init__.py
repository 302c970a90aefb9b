"""Stand-in for the part of StackStorm's common library that actions import."""
