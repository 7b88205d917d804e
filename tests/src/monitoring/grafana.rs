//! Dashboards as Grafana's JSON has them: what a dashboard says here, where a panel lies on the grid is counted.

use serde_json::{Value, json};

use super::panel::{Panel, Place};

/// The version of the format, that of Grafana 12.
const SCHEMA_VERSION: u32 = 42;
/// The grid is so many columns wide.
pub(super) const COLUMNS: u32 = 24;

/// A dashboard.
pub(super) struct Dashboard {
    /// Its name in URLs, and that of its file.
    pub(super) uid: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    pub(super) variables: Vec<Variable>,
    /// Where its traces are: a title, and what Jaeger is asked.
    pub(super) traces: Option<(&'static str, Value)>,
    pub(super) rows: Vec<Row>,
}

/// A variable at the head of a dashboard.
pub(super) enum Variable {
    /// A data source, by its type.
    Source { name: &'static str, label: &'static str, kind: &'static str },
    /// The values of a label.
    Label { name: &'static str, label: &'static str, query: String, choice: Choice },
    /// One of a few spans of time.
    Window { values: &'static [&'static str], default: &'static str },
}

/// How many values may be chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    One,
    /// Several, or all that there are.
    Several,
    /// Several, or all with whatever has no such label.
    SeveralOrNone,
}

/// Panels under a heading.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) panels: Vec<Panel>,
}

impl Variable {
    fn json(&self) -> Value {
        match self {
            Self::Source { name, label, kind } => json!({
                "type": "datasource", "name": name, "label": label, "query": kind, "hide": 0, "refresh": 1, "regex": "",
                "options": [], "includeAll": false, "multi": false, "skipUrlSync": false,
            }),
            Self::Label { name, label, query, choice } => {
                let many = *choice != Choice::One;
                let mut variable = json!({
                    "type": "query", "name": name, "label": label, "datasource": source(), "hide": 0, "definition": query,
                    "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
                    "refresh": 2, "regex": "", "sort": 1, "includeAll": many, "multi": many, "skipUrlSync": false,
                    "options": [],
                });
                if *choice == Choice::SeveralOrNone {
                    variable["allValue"] = json!(".*");
                }
                if many {
                    variable["current"] = json!({"text": ["All"], "value": ["$__all"], "selected": true});
                }
                variable
            }
            Self::Window { values, default } => {
                let option =
                    |value: &str| json!({"text": value, "value": value, "selected": value == *default});
                json!({
                    "type": "custom", "name": "window", "label": "Window", "query": values.join(","), "hide": 0,
                    "options": values.iter().map(|value| option(value)).collect::<Vec<_>>(),
                    "current": option(default), "includeAll": false, "multi": false, "skipUrlSync": false,
                })
            }
        }
    }
}

impl Row {
    /// The panels that lie beside each other.
    fn lines(&self) -> impl Iterator<Item = &[Panel]> {
        let mut left = self.panels.as_slice();
        std::iter::from_fn(move || {
            let mut width = 0;
            let fits = left.iter().take_while(|panel| {
                width += panel.width;
                width <= COLUMNS
            });
            let (line, rest) = left.split_at(fits.count());
            left = rest;
            (!line.is_empty()).then_some(line)
        })
    }
}

impl Dashboard {
    /// The dashboard as a file.
    pub(super) fn json(&self) -> Value {
        let mut panels = Vec::new();
        let (mut id, mut y) = (0, 0);
        for row in &self.rows {
            id += 1;
            panels.push(json!({
                "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
                "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
            }));
            y += 1;
            for line in row.lines() {
                // What is left of a line is shared.
                let spare = (COLUMNS - line.iter().map(|panel| panel.width).sum::<u32>()) / line.len() as u32;
                let mut x = 0;
                for panel in line {
                    id += 1;
                    let width = panel.width + spare;
                    panels.push(panel.json(id, Place { x, y, width }));
                    x += width;
                }
                y += line.iter().map(Panel::height).max().unwrap_or_default();
            }
        }
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.about,
            "tags": ["dagtel"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": true,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "timepicker": {},
            "timezone": "browser",
            "fiscalYearStartMonth": 0,
            "annotations": {"list": []},
            "links": self.links(),
            "templating": {"list": self.variables.iter().map(Variable::json).collect::<Vec<_>>()},
            "panels": panels,
        })
    }

    fn links(&self) -> Vec<Value> {
        let link = |kind: &str, title: &str, url: &str, tags: &[&str]| {
            json!({
                "type": kind, "title": title, "url": url, "tags": tags, "icon": "external link", "tooltip": "",
                "asDropdown": !tags.is_empty(), "includeVars": true, "keepTime": true, "targetBlank": false,
            })
        };
        let mut links = vec![link("dashboards", "dagtel", "", &["dagtel"])];
        if let Some((title, query)) = &self.traces {
            let mut explore = link("link", title, &explore(query), &[]);
            // The address says both already.
            (explore["includeVars"], explore["keepTime"]) = (json!(false), json!(false));
            links.push(explore);
        }
        links
    }
}

/// The address of a search in Jaeger through Grafana, over the time that the dashboard shows.
pub(super) fn explore(query: &Value) -> String {
    let panes = json!({"dagtel": {
        "datasource": "${jaeger}",
        "queries": [query],
        "range": {"from": "${__from}", "to": "${__to}"},
    }});
    format!("/explore?schemaVersion=1&panes={}", encoded(&panes.to_string()))
}

/// Encoded for a URL, but for the names of variables, which Grafana fills in.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        encoded += &percent(before);
        encoded += &format!("${{{name}}}");
        rest = after;
    }
    encoded + &percent(rest)
}

fn percent(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

/// The chosen Prometheus.
pub(super) fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}
