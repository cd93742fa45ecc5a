"""What consumers, views and commands have in common."""
