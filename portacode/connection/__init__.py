"""The device: a client that answers a server's requests. `pip install portacode[device]`."""
