"""Figures of links by direction and local day: written when a day is closed, and anew when its slots change."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from sqlalchemy import Row, and_, select

from controller.store import traffic_tables as t
from controller.store.database import Tx
from controller.store.rows import upsert
from controller.store.tables.base import to_json
from inventory.congestion import DayFigures, Level
from inventory.linkdays import Hour, LinkDay
from inventory.links import CapacityKind, Direction, Governing


async def put(tx: Tx, made_ms: int, day: LinkDay) -> None:
    """Write the figures of one link, direction and day; made anew as often as its slots change."""
    values = {
        "valid": int(day.figures.valid),
        "busy_start_slot": day.figures.busy_start_slot,
        "busy_util": day.figures.busy_util,
        "hot90": day.figures.hot90,
        "hot95": day.figures.hot95,
        "unknown_slots": day.figures.unknown_slots,
        "high_class": int(day.high_class),
        "capacity_kind": day.capacity.kind.value if day.capacity else None,
        "nominal_bps": day.capacity.nominal_bps if day.capacity else None,
        "capacity_since": day.capacity.since.isoformat() if day.capacity else None,
        "octets_low": day.octets_low,
        "octets_high": day.octets_high,
        "worst": to_json(day.worst),
        "covered_ms": day.covered_ms,
        "slots": day.slots,
        "above": to_json(day.above),
        "origins": to_json(day.origins),
        "rule_version": day.rule_version,
        "made_ms": made_ms,
        "drop_slots": day.figures.drop_slots,
        "maintenance_slots": day.maintenance_slots,
        "busy_variance": day.busy_variance,
        "busy_scale_s": day.busy_scale_s,
        "error_slots": day.error_slots,
        "hours": to_json([hour.packed for hour in day.hours]),
        "nominal_pps": day.capacity.nominal_pps if day.capacity else None,
        "packet_util": day.figures.packet_util,
        "packet_hot90": day.figures.packet_hot90,
        "packet_hot95": day.figures.packet_hot95,
    }
    key = {"link_id": day.link_id, "direction": day.direction.value, "day": day.day.isoformat()}
    insert = upsert(tx, t.link_days).values(**key, **values)
    await tx.execute(insert.on_conflict_do_update(index_elements=list(key), set_=values))


async def of_link(tx: Tx, link_id: int, first: date, after: date) -> list[LinkDay]:
    """Figures of the local days [first, after), by day and direction."""
    c = t.link_days.c
    within = and_(c.link_id == link_id, c.day >= first.isoformat(), c.day < after.isoformat())
    found = await tx.execute(select(t.link_days).where(within).order_by(c.day, c.direction))
    return [_link_day(row) for row in found]


def _link_day(row: Row[Any]) -> LinkDay:
    capacity = None
    if row.capacity_kind is not None:
        since = date.fromisoformat(row.capacity_since)
        capacity = Governing(CapacityKind(row.capacity_kind), row.nominal_bps, since, row.nominal_pps)
    return LinkDay(
        link_id=row.link_id,
        direction=Direction(row.direction),
        day=date.fromisoformat(row.day),
        figures=DayFigures(
            valid=bool(row.valid),
            busy_start_slot=row.busy_start_slot,
            busy_util=row.busy_util,
            hot90=row.hot90,
            hot95=row.hot95,
            unknown_slots=row.unknown_slots,
            drop_slots=row.drop_slots,
            packet_util=row.packet_util,
            packet_hot90=row.packet_hot90,
            packet_hot95=row.packet_hot95,
        ),
        high_class=Level(row.high_class),
        capacity=capacity,
        octets_low=row.octets_low,
        octets_high=row.octets_high,
        worst=tuple((slot, octets) for slot, octets in json.loads(row.worst)),
        covered_ms=row.covered_ms,
        slots=row.slots,
        above=tuple(json.loads(row.above)),
        origins=tuple(json.loads(row.origins)),
        rule_version=row.rule_version,
        maintenance_slots=row.maintenance_slots,
        busy_variance=row.busy_variance,
        busy_scale_s=row.busy_scale_s,
        error_slots=row.error_slots,
        hours=tuple(Hour(*packed) for packed in json.loads(row.hours or "[]")),
    )
