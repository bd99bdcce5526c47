"""Recordings: joined from what Asterisk wrote, kept, indexed, listened to, removed in time."""
