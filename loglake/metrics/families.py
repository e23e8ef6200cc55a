"""Samples as prometheus-client's metric families, each with the help text of its definition."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily

from loglake.metrics.definitions import BY_NAME, DEFINITIONS, Definition
from loglake.metrics.facts import Sample


def families(samples: Iterable[Sample]) -> list[Metric]:
    """The families that have a sample, in the order of DEFINITIONS. KeyError for a sample of no definition."""
    made: dict[str, CounterMetricFamily | GaugeMetricFamily | SummaryMetricFamily] = {}
    for sample in samples:
        family = made.setdefault(sample.name, empty(BY_NAME[sample.name]))
        if isinstance(family, SummaryMetricFamily):
            family.add_metric(sample.labels, sample.events, float(sample.value))
        else:
            family.add_metric(sample.labels, float(sample.value))
    return [made[definition.name] for definition in DEFINITIONS if definition.name in made]


def empty(definition: Definition) -> CounterMetricFamily | GaugeMetricFamily | SummaryMetricFamily:
    """A family without samples."""
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "summary": SummaryMetricFamily}
    made: CounterMetricFamily | GaugeMetricFamily | SummaryMetricFamily = kinds[definition.kind](
        definition.name.removesuffix("_total"), definition.help, labels=definition.labels
    )
    return made
