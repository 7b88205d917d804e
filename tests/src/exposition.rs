//! A strict reader of Prometheus text and OpenMetrics: whatever the formats do not allow is an error.

use std::collections::{BTreeMap, BTreeSet};

/// A page as it was read.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Exposition {
    /// Kind of each family, by the name on its `TYPE` line.
    pub kinds: BTreeMap<String, String>,
    /// Help of each family.
    pub helps: BTreeMap<String, String>,
    /// Value of each series, by name and labels.
    pub samples: BTreeMap<(String, Labels), f64>,
}

/// The labels of a series.
pub type Labels = BTreeMap<String, String>;

impl Exposition {
    /// Reads a page.
    ///
    /// # Errors
    /// The first line that is not allowed, and why.
    pub fn parse(page: &str, open_metrics: bool) -> Result<Self, String> {
        let mut read = Self::default();
        let body = match (open_metrics, page.strip_suffix("# EOF\n")) {
            (true, None) => return Err("the page has no end".to_owned()),
            (true, Some(body)) => body,
            (false, _) => page,
        };
        let body = body.strip_suffix('\n').ok_or("the last line has no end")?;
        let (mut family, mut closed) = (String::new(), BTreeSet::new());
        for line in body.split('\n') {
            let name = read.line(line, &family).map_err(|what| format!("{what}: {line:?}"))?;
            if name != family {
                if !closed.insert(name.clone()) {
                    return Err(format!("the lines of {name} are not together: {line:?}"));
                }
                family = name;
            }
        }
        read.check_histograms()?;
        Ok(read)
    }

    /// Reads a line, and returns the name of the family that it belongs to.
    fn line(&mut self, line: &str, family: &str) -> Result<String, String> {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').ok_or("no text")?;
            is_name(name)?;
            if self.helps.insert(name.to_owned(), unescape(help)?).is_some() {
                return Err("a second HELP".to_owned());
            }
            return Ok(name.to_owned());
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').ok_or("no kind")?;
            if name != family || !["counter", "gauge", "histogram", "summary"].contains(&kind) {
                return Err("TYPE does not follow its HELP, or is none".to_owned());
            }
            if self.kinds.insert(name.to_owned(), kind.to_owned()).is_some() {
                return Err("a second TYPE".to_owned());
            }
            return Ok(name.to_owned());
        }
        let (name, labels, value) = sample(line)?;
        let kind = self.kinds.get(family).ok_or("a sample without a TYPE")?;
        let suffix = name.strip_prefix(family).ok_or("a sample of another family")?;
        let fits = match kind.as_str() {
            "counter" => suffix == "_total" || (suffix.is_empty() && family.ends_with("_total")),
            "gauge" => suffix.is_empty(),
            "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
            _ => ["_sum", "_count"].contains(&suffix),
        };
        if !fits || (suffix == "_bucket") != labels.contains_key("le") {
            return Err(format!("no sample of a {kind}"));
        }
        if self.samples.insert((name, labels), value).is_some() {
            return Err("a second value of a series".to_owned());
        }
        Ok(family.to_owned())
    }

    fn check_histograms(&self) -> Result<(), String> {
        let mut buckets: BTreeMap<(&str, Labels), Vec<(f64, f64)>> = BTreeMap::new();
        for ((name, labels), value) in &self.samples {
            if let Some(family) = name.strip_suffix("_bucket").filter(|family| self.is(family, "histogram")) {
                let mut labels = labels.clone();
                let bound = labels.remove("le").ok_or("a bucket without a bound")?;
                buckets.entry((family, labels)).or_default().push((float(&bound)?, *value));
            }
        }
        for ((name, labels), count) in &self.samples {
            let Some(family) = name.strip_suffix("_count").filter(|family| self.is(family, "histogram"))
            else {
                continue;
            };
            let mut buckets = buckets.remove(&(family, labels.clone())).unwrap_or_default();
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            let rises = buckets.is_sorted_by(|a, b| a.1 <= b.1);
            let whole = buckets.last().is_some_and(|(bound, value)| bound.is_infinite() && value == count);
            if !rises || !whole || !self.samples.contains_key(&(format!("{family}_sum"), labels.clone())) {
                return Err(format!("the histogram {family} {labels:?} is torn: {buckets:?}, {count}"));
            }
        }
        match buckets.into_keys().next() {
            Some((family, labels)) => Err(format!("the histogram {family} {labels:?} has no count")),
            None => Ok(()),
        }
    }

    /// Whether a family is of this kind.
    pub fn is(&self, family: &str, kind: &str) -> bool {
        self.kinds.get(family).is_some_and(|found| found == kind)
    }

    /// The value of the only series of this name with at least these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits = |of: &Labels| {
            labels.iter().all(|(name, value)| of.get(*name).is_some_and(|found| found == value))
        };
        let mut found = self.samples.iter().filter(|((other, of), _)| other == name && fits(of));
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(*value),
            _ => None,
        }
    }

    /// The labels of all series of this name.
    pub fn labels(&self, name: &str) -> Vec<&Labels> {
        self.samples.keys().filter(|(other, _)| other == name).map(|(_, labels)| labels).collect()
    }
}

fn is_name(name: &str) -> Result<(), String> {
    let may = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) || !name.chars().all(may) {
        return Err(format!("{name:?} is no name"));
    }
    Ok(())
}

fn sample(line: &str) -> Result<(String, Labels, f64), String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    is_name(name)?;
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
            is_name(label)?;
            let (value, after) = quoted(after)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return Err("a label twice".to_owned());
            }
            match after.split_at_checked(1) {
                Some((",", next)) => rest = next,
                Some(("}", next)) => {
                    rest = next;
                    break;
                }
                _ => return Err("labels without an end".to_owned()),
            }
        }
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    Ok((name.to_owned(), labels, float(value)?))
}

fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut escaped = false;
    for (place, letter) in text.char_indices() {
        match letter {
            '"' if !escaped => return Ok((unescape(&text[..place])?, &text[place + 1..])),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    Err("a label value without an end".to_owned())
}

fn unescape(text: &str) -> Result<String, String> {
    let (mut plain, mut letters) = (String::new(), text.chars());
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next() {
                Some('n') => '\n',
                Some(escaped @ ('\\' | '"')) => escaped,
                other => return Err(format!("the escape \\{other:?}")),
            },
            other => other,
        });
    }
    Ok(plain)
}

fn float(text: &str) -> Result<f64, String> {
    let plain = text.trim_start_matches(['+', '-']);
    if !["Inf", "NaN"].contains(&plain) && !plain.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(format!("{text:?} is no number"));
    }
    text.parse().map_err(|_| format!("{text:?} is no number"))
}
