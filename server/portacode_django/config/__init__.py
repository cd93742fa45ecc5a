"""Settings, addresses and the way the server is served."""
