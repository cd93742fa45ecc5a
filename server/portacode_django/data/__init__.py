"""What is stored: projects, devices, traces; and the services that use it."""
