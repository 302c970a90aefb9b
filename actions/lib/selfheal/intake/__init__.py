"""What arrives: bodies, documents and states of other systems become Signals, and Signals become
incidents.
"""
