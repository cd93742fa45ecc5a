"""Django finds the template tags here."""
