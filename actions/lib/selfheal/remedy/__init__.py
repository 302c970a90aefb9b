"""Do it and be able to undo it: runbooks, their processes, the record of what to put back."""
