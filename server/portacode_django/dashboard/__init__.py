"""What browsers see and talk to: pages, JSON, sockets."""
