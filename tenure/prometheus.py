"""Metrics of a host for the registries of prometheus-client (extra ``prometheus``); `Metrics.text` needs no extra.

async with tenure.open_supervisor("agents.db", behaviours=behaviours) as supervisor:
    prometheus_client.REGISTRY.register(tenure.prometheus.Collector(supervisor))
    prometheus_client.start_http_server(9000)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast, final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector as _Collector

from tenure.supervisor.metrics import Metrics
from tenure.supervisor.operators.measures import Distribution, Family

__all__ = ["Collector"]


class Measured(Protocol):
    """A supervisor of any front."""

    def metrics(self) -> Metrics:
        """See `tenure.Supervisor.metrics`."""
        ...


@final
class Collector(_Collector):
    """Collects what a supervisor measures: that of `tenure`, of `tenure.asyncio` or of `tenure.sync`."""

    def __init__(self, supervisor: Measured) -> None:
        """The host measures from now on. Raises `Closed` where it is closed."""
        self._metrics = supervisor.metrics()

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`. From any thread; it waits for nothing."""
        for family in self._metrics.read():
            yield as_metric(family)


def as_metric(family: Family) -> Metric:
    """One family, as prometheus-client has it."""
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.text, labels=family.labels)
        for labels, value in family.values.items():
            found = cast("Distribution", value)
            buckets = [("+Inf" if bound == float("inf") else repr(bound), count) for bound, count in found.buckets]
            histogram.add_metric(labels, buckets, found.total)
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.text, labels=family.labels)
    for labels, value in family.values.items():
        metric.add_metric(labels, cast("float", value))
    return metric
