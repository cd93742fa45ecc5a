"""What all WebSockets here have in common: frames, limits, the clock's requests."""
