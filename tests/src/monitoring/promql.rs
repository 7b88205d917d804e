//! PromQL over the catalogue: names and labels come from where they are defined, so that neither can be misspelt.

use std::collections::BTreeSet;

use dagtel_core::catalog::agent;
use dagtel_core::catalog::metric::{DEFAULT_PREFIX, Definition, Metric};
use dagtel_core::catalog::naming::prometheus_name;
use dagtel_core::catalog::registry::Offered;

/// What was counted in the time that the dashboard shows.
pub(super) const RANGE: &str = "$__range";
/// What was counted at each point of a graph: runs are rare, so the reader chooses how much is looked at together.
pub(super) const WINDOW: &str = "$window";
/// The same for what happens all the time.
pub(super) const RATE: &str = "$__rate_interval";

/// Metrics of the collector's own page that dashboards and rules use (collector 0.145).
pub const COLLECTOR: [&str; 13] = [
    "otelcol_exporter_queue_capacity",
    "otelcol_exporter_queue_size",
    "otelcol_exporter_send_failed_metric_points_total",
    "otelcol_exporter_send_failed_spans_total",
    "otelcol_exporter_sent_metric_points_total",
    "otelcol_exporter_sent_spans_total",
    "otelcol_process_cpu_seconds_total",
    "otelcol_process_memory_rss_bytes",
    "otelcol_process_uptime_seconds_total",
    "otelcol_receiver_accepted_metric_points_total",
    "otelcol_receiver_accepted_spans_total",
    "otelcol_receiver_refused_metric_points_total",
    "otelcol_receiver_refused_spans_total",
];

/// Series that Prometheus makes of its own scrapes.
pub const PROMETHEUS: [&str; 3] = ["scrape_duration_seconds", "scrape_samples_scraped", "up"];

/// Series of one metric, narrowed down by the variables of the dashboard.
#[derive(Clone)]
pub(super) struct Series {
    name: String,
    tags: Vec<&'static str>,
    matchers: Vec<String>,
    /// Whether it is told before anything is counted.
    from_zero: bool,
    /// Whether agents have series of this name, too.
    not_of_agents: bool,
}

/// Series of a metric that dagtel counts.
pub(super) fn of(metric: Metric) -> Series {
    sent(metric.definition())
}

/// Series of a metric that engines report.
pub(super) fn offered(offered: Offered) -> Series {
    sent(offered.definition())
}

/// Series of dagtel's own metrics, which have no prefix, of engines. Agents tell some of the same name on their pages.
pub(super) fn own(definition: &'static Definition) -> Series {
    Series { name: prometheus_name("", definition), not_of_agents: true, ..sent(definition) }
}

pub(super) fn sent(definition: &'static Definition) -> Series {
    let series = Series {
        name: prometheus_name(DEFAULT_PREFIX, definition),
        tags: definition.tags.to_vec(),
        matchers: Vec::new(),
        from_zero: false,
        not_of_agents: false,
    };
    series.with(r#"job=~"$deployment""#)
}

/// Series of a family of the agent's page.
pub(super) fn family(family: &'static agent::Definition) -> Series {
    told(family.name).with(r#"instance=~"$agent""#)
}

/// Series of the collector's or of Prometheus's own.
///
/// # Panics
/// When the name is not in the list of those that are known to be there.
pub(super) fn foreign(name: &'static str) -> Series {
    assert!(COLLECTOR.contains(&name) || PROMETHEUS.contains(&name), "{name} is in no list");
    told(name)
}

fn told(name: &str) -> Series {
    let (tags, matchers) = (Vec::new(), Vec::new());
    Series { name: name.to_owned(), tags, matchers, from_zero: true, not_of_agents: false }
}

impl Series {
    /// Those of all deployments and agents.
    pub(super) fn everywhere(mut self) -> Self {
        self.matchers.clear();
        self
    }

    /// Only those that match.
    pub(super) fn with(mut self, matcher: &str) -> Self {
        self.matchers.push(matcher.to_owned());
        self
    }

    /// Only those of the dashboard's variables, as far as the metric has them as tags. Of `execution_mode` several may be
    /// chosen, of the others one.
    pub(super) fn chosen(mut self, variables: &[&str]) -> Self {
        for variable in variables.iter().filter(|variable| self.tags.contains(variable)) {
            let operator = if *variable == "execution_mode" { "=~" } else { "=" };
            self.matchers.push(format!(r#"{variable}{operator}"${variable}""#));
        }
        self
    }

    /// One part of a histogram: `bucket`, `sum`, `count`.
    pub(super) fn part(&self, part: &str) -> Self {
        Self { name: format!("{}_{part}", self.name), ..self.clone() }
    }

    fn selector(&self) -> String {
        if self.matchers.is_empty() {
            return self.name.clone();
        }
        format!("{}{{{}}}", self.name, self.matchers.join(","))
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The values as they are now, added up.
    pub(super) fn sum(&self, by: &str) -> String {
        over("sum", by, &self.selector())
    }

    /// The highest of the values as they are now.
    pub(super) fn max(&self, by: &str) -> String {
        over("max", by, &self.selector())
    }

    /// The lowest of the values as they are now.
    pub(super) fn min(&self, by: &str) -> String {
        over("min", by, &self.selector())
    }

    /// How many series there are.
    pub(super) fn count(&self, by: &str) -> String {
        over("count", by, &self.selector())
    }

    /// How many of those that are 1 when all is well are not.
    pub(super) fn unwell(&self) -> String {
        format!("sum({} == bool 0)", self.selector())
    }

    /// How long ago a time is.
    pub(super) fn age(&self, by: &str) -> String {
        format!("time() - {}", self.max(by))
    }

    /// How often a second.
    pub(super) fn rate(&self, by: &str) -> String {
        over("sum", by, &format!("rate({}[{RATE}])", self.selector()))
    }

    /// How many more there are than a time ago. A series that is new counts from zero, where `increase` would see nothing
    /// of its first value: most tasks run, and fail, rarely. One that was there in the hour before is not new, it only was
    /// not scraped for a while.
    pub(super) fn growth(&self, by: &str, window: &str) -> String {
        let all = self.selector();
        let mut more = format!("increase({all}[{window}])");
        if !self.from_zero {
            more = format!("({all} unless last_over_time({all}[1h] offset {window})) or {more}");
        }
        if self.not_of_agents {
            more = format!("({more}) unless on (job, instance) {}", agent::COMPONENT_HEALTH.name);
        }
        over("sum", by, &more)
    }

    /// How many observations a histogram has more than a time ago.
    pub(super) fn observations(&self, by: &str, window: &str) -> String {
        self.part("count").growth(by, window)
    }

    /// The mean of a histogram's observations.
    pub(super) fn mean(&self, by: &str, window: &str) -> String {
        format!("{} / {}", self.part("sum").growth(by, window), self.observations(by, window))
    }

    /// A quantile of a histogram's observations.
    pub(super) fn quantile(&self, quantile: f64, by: &str, window: &str) -> String {
        format!("histogram_quantile({quantile}, {})", self.buckets(by, window))
    }

    /// The buckets of a histogram, for a heat map.
    pub(super) fn buckets(&self, by: &str, window: &str) -> String {
        let by = if by.is_empty() { "le".to_owned() } else { format!("le, {by}") };
        self.part("bucket").growth(&by, window)
    }

    /// Quantiles of something that happens all the time.
    pub(super) fn steady_quantile(&self, quantile: f64, by: &str) -> String {
        let by = if by.is_empty() { "le".to_owned() } else { format!("le, {by}") };
        format!("histogram_quantile({quantile}, {})", self.part("bucket").rate(&by))
    }

    /// The mean of what happens all the time.
    pub(super) fn steady_mean(&self, by: &str) -> String {
        format!("{} / {}", self.part("sum").rate(by), self.part("count").rate(by))
    }
}

fn over(operator: &str, by: &str, what: &str) -> String {
    if by.is_empty() { format!("{operator}({what})") } else { format!("{operator} by ({by}) ({what})") }
}

/// The names of the metrics that an expression of Prometheus's asks for.
pub fn names(expression: &str) -> BTreeSet<String> {
    const WORDS: [&str; 13] = [
        "and",
        "bool",
        "by",
        "group_left",
        "group_right",
        "ignoring",
        "inf",
        "nan",
        "offset",
        "on",
        "or",
        "unless",
        "without",
    ];
    let mut names = BTreeSet::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|letter: char| is_word(letter) || "\"'{[$".contains(letter)) {
        rest = &rest[start..];
        let end = match rest.as_bytes()[0] {
            b'{' => closing(rest, '}'),
            b'[' => closing(rest, ']'),
            // A variable of Grafana's.
            b'$' => 1 + rest[1..].find(|letter: char| !is_word(letter)).unwrap_or(rest.len() - 1),
            quote @ (b'"' | b'\'') => 1 + closing(&rest[1..], char::from(quote)),
            _ => rest.find(|letter: char| !is_word(letter)).unwrap_or(rest.len()),
        };
        let word = &rest[..end];
        rest = rest[end..].trim_start();
        let grouping = ["by", "on", "ignoring", "without", "group_left", "group_right"].contains(&word);
        if grouping && rest.starts_with('(') {
            rest = &rest[closing(rest, ')')..];
        } else if word.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
            && !["(", "by (", "by(", "without (", "without("].iter().any(|call| rest.starts_with(call))
            // Prometheus writes them in its own case.
            && !WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
        {
            names.insert(word.to_owned());
        }
    }
    names
}

/// Where what is closed by this sign ends.
fn closing(text: &str, sign: char) -> usize {
    text.find(sign).map_or(text.len(), |at| at + sign.len_utf8())
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_told_from_functions_labels_and_words() {
        let names = |expression| super::names(expression).into_iter().collect::<Vec<_>>();
        assert_eq!(
            names(
                r#"sum by (le, job) (rate(a_total{b=~"c|d"}[5m])) / on (e) group_left (f) (g:h unless i offset $j)"#
            ),
            ["a_total", "g:h", "i"]
        );
        assert_eq!(
            names(
                r#"predict_linear(x[30m], 3600) > 2 ^ 29 and label_replace(y, "z", "$1", "a", "(.*)") == bool 0"#
            ),
            ["x", "y"]
        );
        assert_eq!(names("x > y * 0 + inf or x > y * 0 + Inf"), ["x", "y"]);
    }
}
