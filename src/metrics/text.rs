//! Metrics as text: in Prometheus' own form, version 0.0.4, or as OpenMetrics 1.0.

use std::fmt::Write as _;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};

/// A form of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// What a client takes, by its `Accept`: OpenMetrics where it names it and does not like the other better.
    pub(crate) fn accepted(accept: &str) -> Self {
        let weight = |media: &str| {
            let ranges = accept.split(',').map(|range| range.split(';').map(str::trim));
            let weights = ranges.filter_map(|mut range| (range.next()? == media).then(|| range.find_map(quality).unwrap_or(1.0)));
            weights.fold(0.0, f64::max)
        };
        let (open, plain) = (weight("application/openmetrics-text"), weight("text/plain"));
        if open > 0.0 && open >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The weight in a parameter `q=0.5` (RFC 9110 section 12.4.2).
fn quality(parameter: &str) -> Option<f64> {
    parameter.strip_prefix("q=")?.parse().ok()
}

/// The whole text.
pub(crate) fn print(families: &[MetricFamily], format: Format) -> String {
    match format {
        Format::Prometheus => {
            let mut text = Vec::new();
            TextEncoder::new().encode(families, &mut text).expect("every family has a metric, and memory takes every byte");
            String::from_utf8(text).expect("names, labels and help are text")
        }
        Format::OpenMetrics => {
            let mut text = String::new();
            families.iter().for_each(|family| print_family(family, &mut text));
            text.push_str("# EOF\n");
            text
        }
    }
}

/// A counter's family is called without `_total`, which its sample has.
fn print_family(family: &MetricFamily, text: &mut String) {
    let kind = family.get_field_type();
    let name = if kind == MetricType::COUNTER { family.name().trim_end_matches("_total") } else { family.name() };
    // Writing to a string cannot fail.
    _ = writeln!(text, "# HELP {name} {}", escaped(family.help()));
    _ = writeln!(text, "# TYPE {name} {}", kind_name(kind));
    for metric in family.get_metric() {
        let labels = metric.get_label();
        match kind {
            MetricType::COUNTER => {
                print_sample(&format!("{name}_total"), labels, None, &value(metric.get_counter().get_value()), text)
            }
            MetricType::HISTOGRAM => print_histogram(name, metric, text),
            _ => print_sample(name, labels, None, &value(metric.get_gauge().get_value()), text),
        }
    }
}

fn kind_name(kind: MetricType) -> &'static str {
    match kind {
        MetricType::COUNTER => "counter",
        MetricType::HISTOGRAM => "histogram",
        _ => "gauge",
    }
}

fn print_histogram(name: &str, metric: &Metric, text: &mut String) {
    let (labels, histogram) = (metric.get_label(), metric.get_histogram());
    let bucket = format!("{name}_bucket");
    for each in histogram.get_bucket() {
        print_sample(&bucket, labels, Some(&value(each.upper_bound())), &each.cumulative_count().to_string(), text);
    }
    let count = histogram.get_sample_count().to_string();
    print_sample(&bucket, labels, Some("+Inf"), &count, text);
    print_sample(&format!("{name}_count"), labels, None, &count, text);
    print_sample(&format!("{name}_sum"), labels, None, &value(histogram.get_sample_sum()), text);
}

fn print_sample(name: &str, labels: &[LabelPair], bound: Option<&str>, value: &str, text: &mut String) {
    let own = labels.iter().map(|label| (label.name(), label.value()));
    let all: Vec<_> = own.chain(bound.map(|bound| ("le", bound))).collect();
    text.push_str(name);
    if !all.is_empty() {
        let all: Vec<_> = all.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        _ = write!(text, "{{{}}}", all.join(","));
    }
    _ = writeln!(text, " {value}");
}

/// A float as OpenMetrics' canonical form has it: with a point.
fn value(value: f64) -> String {
    format!("{value:?}")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

    use super::*;

    #[test]
    fn the_client_says_which_form_it_takes() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text; version=1.0.0", Format::OpenMetrics),
            ("application/openmetrics-text;q=0.1, text/plain", Format::Prometheus),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("text/plain", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("", Format::Prometheus),
            ("text/html,;;q=,=", Format::Prometheus),
        ] {
            assert_eq!(Format::accepted(accept), expected, "{accept}");
        }
    }

    #[test]
    fn openmetrics_has_its_own_names_numbers_and_end() {
        let registry = Registry::new();
        let counters = IntCounterVec::new(Opts::new("x_things_total", "Things \"of\" all\nkinds."), &["kind"]).unwrap();
        let times = HistogramVec::new(HistogramOpts::new("x_seconds", "Time.").buckets(vec![0.5, 1.0]), &["kind"]).unwrap();
        registry.register(Box::new(counters.clone())).unwrap();
        registry.register(Box::new(times.clone())).unwrap();
        counters.with_label_values(&["a\"b\\c"]).inc_by(3);
        times.with_label_values(&["a"]).observe(0.75);
        let expected = "\
# HELP x_seconds Time.
# TYPE x_seconds histogram
x_seconds_bucket{kind=\"a\",le=\"0.5\"} 0
x_seconds_bucket{kind=\"a\",le=\"1.0\"} 1
x_seconds_bucket{kind=\"a\",le=\"+Inf\"} 1
x_seconds_count{kind=\"a\"} 1
x_seconds_sum{kind=\"a\"} 0.75
# HELP x_things Things \\\"of\\\" all\\nkinds.
# TYPE x_things counter
x_things_total{kind=\"a\\\"b\\\\c\"} 3.0
# EOF
";
        assert_eq!(print(&registry.gather(), Format::OpenMetrics), expected);
    }
}
