"""A call centre on Asterisk: the switch carries the calls, this package decides."""

__version__ = "0.1.0"
