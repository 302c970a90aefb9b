"""The steps of a response, one action function each; they orchestrate the rooms below."""
