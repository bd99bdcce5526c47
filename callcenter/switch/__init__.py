"""The switch room."""
