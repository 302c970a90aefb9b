"""Do it and be able to undo it: runbooks, the processes they start, the record of what to put back.
"""
