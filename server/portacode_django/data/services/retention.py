"""Traces are kept for a limited time, and a limited number of each user's."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from data.models import TraceRecord


class Pruned(NamedTuple):
    """How many were deleted."""

    too_old: int
    too_many: int


def prune(user_id: int | None = None) -> Pruned:
    """Deletes what is too old and, of each user's, or of this one's, what is too many.

    Requests without an answer whose server has died with its waiting clients end as timeouts.
    """
    abandoned = timezone.now() - _NOBODY_WAITS
    TraceRecord.objects.filter(status=TraceRecord.Status.PENDING, created_at__lt=abandoned).update(
        status=TraceRecord.Status.TIMEOUT, error=_ABANDONED
    )
    oldest = timezone.now() - timedelta(days=settings.TRACES_MAX_AGE_DAYS)
    too_old, _ = TraceRecord.objects.filter(created_at__lt=oldest).delete()
    records = TraceRecord.objects.all()
    if user_id is not None:
        records = records.filter(owner_id=user_id)
    most = settings.TRACES_MAX_PER_USER
    counts = records.values("owner_id").annotate(count=Count("id")).filter(count__gt=most)
    too_many = 0
    for owner_id in counts.values_list("owner_id", flat=True):
        of_owner = TraceRecord.objects.filter(owner_id=owner_id)
        first_to_go = of_owner.order_by("-id").values_list("id", flat=True)[most : most + 1]
        for newest in list(first_to_go):
            deleted, _ = of_owner.filter(id__lte=newest).delete()
            too_many += deleted
    return Pruned(too_old, too_many)


def after_insert(user_id: int) -> None:
    """Called for each new record: prunes now and then, so that no timer is needed."""
    global _inserted
    with _counting:
        _inserted += 1
        due = _inserted % _EVERY == 0
    if due:
        prune(user_id)


_NOBODY_WAITS = timedelta(days=1)
_ABANDONED = {"code": "timeout", "message": "the server ended before there was an answer"}
_EVERY = 500
_inserted = 0
_counting = threading.Lock()
