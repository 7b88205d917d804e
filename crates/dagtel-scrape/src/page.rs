//! The text formats of a page: Prometheus text 0.0.4 and OpenMetrics 1.0.0.
//!
//! They differ in three things that matter here: OpenMetrics names a counter's family without `_total`, escapes quotes in
//! help texts, and ends with `# EOF`. Numbers are written as OpenMetrics wants bounds of buckets (`1.0`, `+Inf`), which the
//! older format reads as well.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use dagtel_core::catalog::agent::Kind;

use crate::{Family, Labels, Sample, Value};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Format {
    /// Prometheus text, version 0.0.4.
    Classic,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What a scraper asks for by its `Accept` header: OpenMetrics if it names that and does not like text better.
    pub fn asked_for(accept: &str) -> Self {
        let quality = |wanted: &[&str]| {
            let mut best = 0.0_f32;
            for range in accept.split(',') {
                let mut parts = range.split(';').map(str::trim);
                if wanted.contains(&parts.next().unwrap_or_default().to_ascii_lowercase().as_str()) {
                    let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
                    best = best.max(weight);
                }
            }
            best
        };
        let open = quality(&["application/openmetrics-text"]);
        if open > 0.0 && open >= quality(&["text/plain"]) { Self::OpenMetrics } else { Self::Classic }
    }

    /// Its content type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A page that is being written, of at most so many bytes.
#[derive(Debug)]
pub struct Page {
    format: Format,
    text: String,
    most: usize,
    omitted: u64,
    /// The labels of the sample that is being written: a histogram has them on twenty lines.
    labels: String,
}

const EOF: &str = "# EOF\n";

impl Page {
    /// An empty one.
    pub fn new(format: Format, most: usize) -> Self {
        Self {
            format,
            text: String::new(),
            most: most.saturating_sub(EOF.len()),
            omitted: 0,
            labels: String::new(),
        }
    }

    /// The same with memory for so many bytes: a page that grows is copied again and again.
    #[must_use]
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.text.reserve_exact(bytes.min(self.most));
        self
    }

    /// Bytes that are left.
    pub fn room(&self) -> usize {
        self.most - self.text.len()
    }

    /// Series that were left out.
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    /// Writes a family, within `share` bytes and the room that there is. A series that does not fit is left out whole.
    pub fn family(&mut self, family: &Family<'_>, share: usize) {
        let end = self.text.len() + share.min(self.room());
        let begin = self.text.len();
        self.head(family);
        let name = mended(&family.name);
        if self.text.len() > end {
            self.text.truncate(begin);
            self.omitted += family.samples.len() as u64;
            return;
        }
        for (written, sample) in family.samples.iter().enumerate() {
            let before = self.text.len();
            self.sample(&name, sample);
            if self.text.len() > end {
                self.text.truncate(before);
                self.omitted += (family.samples.len() - written) as u64;
                return;
            }
        }
    }

    fn head(&mut self, family: &Family<'_>) {
        let name = mended(&family.name);
        let (word, name) = match (family.kind, self.format) {
            (Kind::Counter, Format::OpenMetrics) => ("counter", name.strip_suffix("_total").unwrap_or(&name)),
            (Kind::Counter, Format::Classic) => ("counter", &*name),
            (Kind::Histogram, _) => ("histogram", &*name),
            (Kind::Summary, _) => ("summary", &*name),
            _ => ("gauge", &*name),
        };
        let _ = write!(self.text, "# HELP {name} ");
        escape(&mut self.text, &family.help, self.format == Format::OpenMetrics);
        let _ = write!(self.text, "\n# TYPE {name} {word}\n");
    }

    fn sample(&mut self, name: &str, sample: &Sample<'_>) {
        self.labels.clear();
        write_labels(&mut self.labels, &sample.labels);
        match &sample.value {
            Value::Number(value) => self.line(name, "", None, *value),
            Value::Histogram { bounds, counts, sum } => {
                let mut below = 0;
                let bounds = bounds.iter().copied().chain([f64::INFINITY]);
                for (bound, count) in bounds.zip(counts.iter()) {
                    below += count;
                    self.line(name, "_bucket", Some(bound), below as f64);
                }
                self.line(name, "_sum", None, *sum);
                self.line(name, "_count", None, below as f64);
            }
            Value::Summary { count, sum } => {
                self.line(name, "_count", None, *count as f64);
                self.line(name, "_sum", None, *sum);
            }
        }
    }

    /// A line with the labels that are written.
    fn line(&mut self, name: &str, suffix: &str, bound: Option<f64>, value: f64) {
        let Self { text, labels, .. } = self;
        text.push_str(name);
        text.push_str(suffix);
        if !labels.is_empty() || bound.is_some() {
            text.push('{');
            text.push_str(labels);
            if let Some(bound) = bound {
                text.push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
                number(text, bound);
                text.push('"');
            }
            text.push('}');
        }
        text.push(' ');
        number(text, value);
        text.push('\n');
    }

    /// What is written so far, without an end: the beginning of a page.
    pub fn begun(self) -> Bytes {
        self.text.into()
    }

    /// The whole page, or the end of one that was begun.
    pub fn finish(mut self) -> Bytes {
        if self.format == Format::OpenMetrics {
            self.text.push_str(EOF);
        }
        self.text.shrink_to_fit();
        self.text.into()
    }
}

fn write_labels(text: &mut String, labels: &Labels<'_>) {
    let mut written: Vec<Cow<'_, str>> = Vec::with_capacity(labels.len());
    for (label, value) in labels {
        let label = mended(label);
        // Two names may be mended to one; a label that stands twice makes the page unreadable.
        if written.contains(&label) {
            continue;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&label);
        text.push_str("=\"");
        escape(text, value, true);
        text.push('"');
        written.push(label);
    }
}

fn number(text: &mut String, value: f64) {
    /// Whole numbers below this are what a double says they are, and most numbers are whole.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    let _ = if value.is_infinite() {
        write!(text, "{}Inf", if value > 0.0 { '+' } else { '-' })
    } else if value.fract() == 0.0 && (0.0..WHOLE).contains(&value) && value.is_sign_positive() {
        write!(text, "{}.0", value as u64)
    } else {
        write!(text, "{value:?}")
    };
}

fn escape(text: &mut String, raw: &str, quotes: bool) {
    let mut rest = raw;
    while let Some(place) =
        rest.bytes().position(|byte| matches!(byte, b'\\' | b'\n') || (quotes && byte == b'"'))
    {
        let (plain, special) = rest.split_at(place);
        text.push_str(plain);
        text.push_str(match special.as_bytes()[0] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            _ => "\\\"",
        });
        rest = &special[1..];
    }
    text.push_str(rest);
}

/// A name that a page may have: letters, digits and underscores, no digit in front.
fn mended(name: &str) -> Cow<'_, str> {
    let may = |place: usize, letter: char| {
        letter == '_' || letter.is_ascii_alphabetic() || (place > 0 && letter.is_ascii_digit())
    };
    let is_plain = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    if name.starts_with(|first| may(0, first)) && name.bytes().all(is_plain) {
        return name.into();
    }
    let first = name.starts_with(|letter: char| letter.is_ascii_digit()) || name.is_empty();
    let rest = name.chars().map(|letter| if may(1, letter) { letter } else { '_' });
    first.then_some('_').into_iter().chain(rest).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family() -> Family<'static> {
        let mut family = Family::new("a.b_total", Kind::Counter, "say \"a\\b\"\nnow");
        family.push(
            vec![("0x.y".into(), "\"\\\n\0é".into()), ("_0x_y".into(), "again".into())],
            Value::Number(3.0),
        );
        family
    }

    fn written(format: Format, family: &Family<'_>) -> String {
        let mut page = Page::new(format, 10_000);
        page.family(family, usize::MAX);
        String::from_utf8(page.finish().to_vec()).expect("pages are UTF-8")
    }

    #[test]
    fn both_formats() {
        let sample = "a_b_total{_0x_y=\"\\\"\\\\\\n\0é\"} 3.0\n";
        let classic = format!("# HELP a_b_total say \"a\\\\b\"\\nnow\n# TYPE a_b_total counter\n{sample}");
        assert_eq!(written(Format::Classic, &family()), classic);
        let open = format!("# HELP a_b say \\\"a\\\\b\\\"\\nnow\n# TYPE a_b counter\n{sample}# EOF\n");
        assert_eq!(written(Format::OpenMetrics, &family()), open);
        let counts = vec![1, 0, 2].into();
        let histogram = Family::new("h", Kind::Histogram, "h")
            .with(Vec::new(), Value::Histogram { bounds: &[0.5, 1.0], counts, sum: 7.5 });
        let lines = "h_bucket{le=\"0.5\"} 1.0\nh_bucket{le=\"1.0\"} 1.0\nh_bucket{le=\"+Inf\"} 3.0\nh_sum 7.5\nh_count 3.0\n";
        assert!(written(Format::Classic, &histogram).ends_with(lines));
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let mut many = Family::new("g", Kind::Gauge, "g");
        (0..1000).for_each(|n| many.push(vec![("n".into(), n.to_string().into())], Value::Number(1.0)));
        let mut page = Page::new(Format::Classic, 1000);
        page.family(&many, 500);
        let first = page.omitted();
        page.family(&many, usize::MAX);
        let (omitted, text) = (page.omitted(), page.finish());
        assert!(text.len() <= 1000 && text.ends_with(b"\n"));
        let lines = text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"g{")).count() as u64;
        assert!(first > 0 && lines + omitted == 2000, "{lines} + {omitted}");
    }

    #[test]
    fn the_scraper_chooses() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Format::asked_for(prometheus), Format::OpenMetrics);
        for text in ["", "*/*", "text/html", "text/plain, application/openmetrics-text;q=0.5", "a;q=x,;;,"] {
            assert_eq!(Format::asked_for(text), Format::Classic, "{text}");
        }
    }
}
