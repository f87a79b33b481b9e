"""The embedded reaction set, and the script that made it."""
