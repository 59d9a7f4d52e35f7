"""The fleet in numbers, and the daemon about itself: what `/metrics` shows."""

from __future__ import annotations

import os
import resource
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controller.store import telemetry
from controller.store.telemetry import Counts, Progress
from controller.telemetry.exposition import Metric, Sample, by_label, metric

if TYPE_CHECKING:
    from controller.main import Daemon

PAGE: Final = os.sysconf("SC_PAGE_SIZE")


async def of_daemon(daemon: Daemon) -> list[Metric]:
    """Everything of a scrape of `/metrics`."""
    async with daemon.db.read() as tx:
        counts = await telemetry.counts(tx)
        sent = await telemetry.progress(tx)
    return [*_ourselves(daemon), *_heartbeats(daemon), *_fleet(counts), *_sent(sent)]


def _ourselves(daemon: Daemon) -> list[Metric]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return [
        Metric(
            "kajitori_build_info",
            "gauge",
            "Always 1; the version and the node stand in the labels.",
            (Sample(1, {"version": version("kajitori"), "node": daemon.node.node_id}),),
        ),
        metric("process_start_time_seconds", "gauge", "When this node started, Unix time.", daemon.started_ms / 1000),
        metric("process_cpu_seconds_total", "counter", "CPU time of this node.", used.ru_utime + used.ru_stime),
        metric("process_resident_memory_bytes", "gauge", "Memory of this node.", _resident()),
        metric("process_open_fds", "gauge", "Open files and sockets of this node.", _open_files()),
        metric("process_max_fds", "gauge", "How many it may open.", soft),
        metric(
            "kajitori_loop_lag_seconds",
            "gauge",
            "Longest that the event loop was late in the last minute.",
            daemon.lag_s,
        ),
        metric("kajitori_pace", "gauge", "What waits are divided by; 1 except in simulations.", daemon.clock.pace),
    ]


def _resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE
    except OSError:  # no /proc here: the largest it ever was
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # numbers, not paths
    except OSError:
        return 0


def _heartbeats(daemon: Daemon) -> list[Metric]:
    found = daemon.phonehome.heartbeats.counts
    taken = {"accepted": found.accepted, "duplicate": found.duplicate}
    return [
        by_label("kajitori_heartbeats_total", "counter", "Heartbeats that this node took.", "result", taken),
        by_label(
            "kajitori_heartbeats_refused_total",
            "counter",
            "Heartbeats that this node refused.",
            "reason",
            dict(found.refused),
        ),
        metric(
            "kajitori_heartbeats_unsettled",
            "gauge",
            "Heartbeats that are kept and not yet readings.",
            daemon.metering.unsettled,
        ),
    ]


def _fleet(found: Counts) -> list[Metric]:
    """The same on every node: ask one, or take the greatest."""
    return [
        by_label("kajitori_adapters", "gauge", "Adapters by state of life.", "life", found.adapters),
        by_label("kajitori_arms_contacts", "gauge", "Adapters by stage of their last boot.", "stage", found.contacts),
        metric("kajitori_tunnels_open", "gauge", "Adapters with a tunnel.", found.tunnels),
        by_label("kajitori_links", "gauge", "Links by their highest level.", "level", found.links),
        metric("kajitori_pushes_unfinished", "gauge", "Pushes that wait or are under way.", found.pushes_unfinished),
        by_label("kajitori_pushes_finished", "gauge", "Pushes that are kept, by outcome.", "outcome", found.pushes),
        by_label("kajitori_operations", "gauge", "Operations that are kept, by state.", "state", found.operations),
        by_label("kajitori_incidents_open", "gauge", "Incidents nobody has closed, by kind.", "kind", found.incidents),
        by_label("kajitori_proposals", "gauge", "Proposals by state.", "state", found.proposals),
        by_label("kajitori_reports", "gauge", "Reports by state.", "state", found.reports),
        by_label("kajitori_report_deliveries", "gauge", "Reports to recipients, by state.", "state", found.deliveries),
    ]


def _sent(found: Progress | None) -> list[Metric]:
    if found is None:
        return []
    return [
        metric(
            "kajitori_remote_write_sent_to_seconds",
            "gauge",
            "End of the last slot that was sent on, Unix time.",
            found.sent_to_ms / 1000,
        ),
        metric(
            "kajitori_remote_write_gaps_total", "counter", "Times that slots were left out of the sending.", found.gaps
        ),
        metric("kajitori_remote_write_gap_slots_total", "counter", "Slots that were never sent on.", found.gap_slots),
    ]
