"""Stand-in for the part of StackStorm's test library that pack tests import."""
