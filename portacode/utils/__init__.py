"""Utilities shared by the server and the device."""
