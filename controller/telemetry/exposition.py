"""Numbers in the text format that Prometheus scrapes (version 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

MEDIA = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric, with its labels."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its name with its unit, what it means, and its values."""

    name: str
    kind: Literal["gauge", "counter"]
    meaning: str
    samples: tuple[Sample, ...]


def metric(name: str, kind: Literal["gauge", "counter"], meaning: str, *values: float) -> Metric:
    """A metric without labels; without a value it is only described."""
    return Metric(name, kind, meaning, tuple(Sample(value) for value in values))


def by_label(
    name: str, kind: Literal["gauge", "counter"], meaning: str, label: str, values: Mapping[str, float]
) -> Metric:
    """A metric with one label."""
    return Metric(name, kind, meaning, tuple(Sample(v, {label: k}) for k, v in sorted(values.items())))


def exposed(metrics: Iterable[Metric]) -> str:
    """The text of a scrape."""
    lines = []
    for one in metrics:
        lines.append(f"# HELP {one.name} {_escaped(one.meaning, quote=False)}")
        lines.append(f"# TYPE {one.name} {one.kind}")
        lines += [f"{one.name}{_labels(sample.labels)} {number(sample.value)}" for sample in one.samples]
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """A value as text; whole numbers without a point, whatever their size."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value, quote=True)}"' for name, value in labels.items()) + "}"


def _escaped(text: str, *, quote: bool) -> str:
    found = text.replace("\\", "\\\\").replace("\n", "\\n")
    return found.replace('"', '\\"') if quote else found
