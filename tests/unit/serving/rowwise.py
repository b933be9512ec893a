"""A request to rows event by event, as it is defined: what the collector is compared with."""

from typing import Any, NamedTuple

import msgspec

from events import dedup, schema, sketch
from events.clock import event_time
from serving.ingest.reader import Rejected
from serving.ingest.rows import Sender, partition_of, uuid7
from serving.projects import Project, revenue_in_range

Row = tuple[Any, ...]  # in the order of batch.SCHEMA


class Rows(NamedTuple):
    """Rows by partition, and what was refused."""

    parts: dict[int, list[Row]]
    rejected: list[Rejected]


def make_rows(request: schema.Request, project: Project, sender: Sender, partitions: int) -> Rows:
    """Rows of the valid events. Never raises on a bad event: it comes back as `Rejected`."""
    parts: dict[int, list[Row]] = {}
    rejected: list[Rejected] = []
    salt = dedup.salt(project.name)
    key = None if request.batch_id is None else dedup.batch_key(project.name, request.batch_id)
    for index, raw in enumerate(request.events):
        try:
            event = schema.decode_event(raw)
            user_hash = sketch.user_hash(event.user_id)
            row = _row(event, user_hash, key, request.sent_at, project, sender)
        except schema.InvalidEvent as error:
            rejected.append(Rejected(index, *error.rejection))
            continue
        partition = partition_of(salt, user_hash, partitions)
        parts.setdefault(partition, []).append(row)
    return Rows(parts, rejected)


def _row(
    event: schema.Event,
    user_hash: int,
    batch_key: int | None,
    sent_at: int | None,
    project: Project,
    sender: Sender,
) -> Row:
    """One row in the order of `batch.SCHEMA`. Raises `InvalidEvent` on money it cannot convert."""
    received_at = sender.received_at
    amount, revenue = _money(event, project)
    if event.id is None:
        event_id = uuid7(received_at)
        dedup_key = dedup.NEVER if batch_key is None else batch_key
    else:
        event_id = event.id.bytes
        dedup_key = dedup.event_key(project.name, event.id) if batch_key is None else batch_key
    return (
        event_time(event.ts, sent_at, received_at),
        event.ts,
        received_at,
        event_id,
        dedup_key,
        event.type,
        event.user_id,
        user_hash,
        event.session_id,
        event.url,
        event.category or "",
        sender.country,
        sender.agent.device,
        sender.agent.bot,
        revenue,
        amount,
        event.currency,
        None if event.props is None else msgspec.json.encode(event.props).decode(),
    )


def _money(event: schema.Event, project: Project) -> tuple[int | None, int]:
    """`(amount_micros, revenue_micros)`; only purchases make revenue."""
    if event.amount is None or event.currency is None:
        return None, 0
    amount = schema.micros(event.amount)
    revenue = project.revenue_micros(amount, event.currency)
    if revenue is None:
        raise schema.InvalidEvent(
            "currency_unsupported", f"Project {project.name} has no rate for {event.currency}."
        )
    if not revenue_in_range(revenue):
        raise schema.InvalidEvent("amount_invalid", "amount is out of range.")
    return amount, revenue if event.type == "purchase" else 0
