"""A Django project as a user of the package would have it; its settings vary with the environment.

`PROJECT_SETTINGS` (a JSON object) is laid over what settings.py says.
"""
