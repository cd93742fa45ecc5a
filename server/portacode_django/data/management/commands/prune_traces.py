"""`manage.py prune_traces`: deletes traces beyond the limits of their keeping."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from data.services.retention import prune


class Command(BaseCommand):
    """Deletes what is too old or too much; servers do it by themselves now and then."""

    help = "Deletes traces that are older than TRACES_MAX_AGE_DAYS or beyond TRACES_MAX_PER_USER."

    def handle(self, *args: Any, **options: Any) -> None:
        """Deletes, and says how many."""
        del args, options
        pruned = prune()
        self.stdout.write(f"deleted {pruned.too_old} too old, {pruned.too_many} too many")
