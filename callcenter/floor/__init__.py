"""The floor: where callers meet agents.

Pure: events in, commands and records out; no I/O, no clock, no chance.
"""
