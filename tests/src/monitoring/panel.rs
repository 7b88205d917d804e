//! Panels as Grafana's JSON has them.

use serde_json::{Value, json};

use super::grafana::{COLUMNS, explore, source};

/// What a panel looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stat,
    Lines,
    Stack,
    Heatmap,
    Table,
}

/// A place on the grid.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
}

/// A panel.
pub(super) struct Panel {
    kind: Kind,
    title: &'static str,
    about: &'static str,
    unit: &'static str,
    /// How many columns of the grid it is wide, at least.
    pub(super) width: u32,
    queries: Vec<Query>,
    /// A value from which on it is red.
    bad: Option<f64>,
    /// Whether its DAGs lead to Jaeger too.
    jaeger: bool,
}

struct Query {
    expression: String,
    /// Of a series; of a table the heading of the column, with its unit.
    legend: &'static str,
    unit: &'static str,
}

/// One number.
pub(super) fn stat(title: &'static str, unit: &'static str, expression: String) -> Panel {
    Panel::new(Kind::Stat, title, unit, 3).and(expression, "")
}

/// Lines over time.
pub(super) fn lines(title: &'static str, unit: &'static str) -> Panel {
    Panel::new(Kind::Lines, title, unit, 8)
}

/// Lines over time that add up.
pub(super) fn stack(title: &'static str, unit: &'static str) -> Panel {
    Panel::new(Kind::Stack, title, unit, 8)
}

/// How values are spread, over time.
pub(super) fn heatmap(title: &'static str, unit: &'static str, expression: String) -> Panel {
    Panel::new(Kind::Heatmap, title, unit, 8).and(expression, "{{le}}")
}

/// A table with a row for each set of labels.
pub(super) fn table(title: &'static str) -> Panel {
    Panel::new(Kind::Table, title, "short", COLUMNS)
}

impl Panel {
    fn new(kind: Kind, title: &'static str, unit: &'static str, width: u32) -> Self {
        Self { kind, title, about: "", unit, width, queries: Vec::new(), bad: None, jaeger: false }
    }

    /// A further query.
    pub(super) fn and(self, expression: String, legend: &'static str) -> Self {
        let unit = self.unit;
        self.column(expression, legend, unit)
    }

    /// A further column of a table.
    pub(super) fn column(mut self, expression: String, legend: &'static str, unit: &'static str) -> Self {
        self.queries.push(Query { expression, legend, unit });
        self
    }

    /// What it says.
    pub(super) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Red from this value on.
    pub(super) fn bad_from(mut self, value: f64) -> Self {
        self.bad = Some(value);
        self
    }

    /// Its DAGs lead to their runs in Jaeger.
    pub(super) fn with_jaeger(mut self) -> Self {
        self.jaeger = true;
        self
    }

    /// How many lines of the grid it is high.
    pub(super) fn height(&self) -> u32 {
        match self.kind {
            Kind::Stat => 4,
            Kind::Table => 9,
            _ => 8,
        }
    }

    /// The panel in its place on the grid.
    pub(super) fn json(&self, id: u32, at: Place) -> Value {
        let kind = match self.kind {
            Kind::Stat => "stat",
            Kind::Lines | Kind::Stack => "timeseries",
            Kind::Heatmap => "heatmap",
            Kind::Table => "table",
        };
        let mut panel = json!({
            "id": id,
            "type": kind,
            "title": self.title,
            "description": self.about,
            "datasource": source(),
            "gridPos": {"h": self.height(), "w": at.width, "x": at.x, "y": at.y},
            "targets": self.targets(),
            "fieldConfig": {"defaults": self.defaults(), "overrides": self.overrides()},
            "options": self.options(),
        });
        if self.kind == Kind::Table {
            panel["transformations"] = self.transformations();
        }
        panel
    }

    fn targets(&self) -> Vec<Value> {
        let target = |(place, query): (u8, &Query)| {
            let mut target = json!({
                "refId": char::from(b'A' + place).to_string(),
                "datasource": source(),
                "editorMode": "code",
                "expr": query.expression,
                "range": true,
            });
            match self.kind {
                Kind::Table => {
                    target["format"] = json!("table");
                    target["instant"] = json!(true);
                    target["range"] = json!(false);
                }
                Kind::Stat => {
                    target["instant"] = json!(true);
                    target["range"] = json!(false);
                }
                Kind::Heatmap => target["format"] = json!("heatmap"),
                Kind::Lines | Kind::Stack => {}
            }
            if !query.legend.is_empty() && self.kind != Kind::Table {
                target["legendFormat"] = json!(query.legend);
            }
            target
        };
        (0..).zip(&self.queries).map(target).collect()
    }

    fn defaults(&self) -> Value {
        let mut steps = vec![json!({"color": "green", "value": null})];
        steps.extend(self.bad.map(|value| json!({"color": "red", "value": value})));
        let mode = if self.kind == Kind::Stat { "thresholds" } else { "palette-classic" };
        let mut defaults = json!({
            "unit": self.unit,
            "color": {"mode": mode},
            "thresholds": {"mode": "absolute", "steps": steps},
        });
        match self.kind {
            // Nothing counted yet is none; a mean of nothing is not zero.
            Kind::Stat => defaults["noValue"] = json!(if self.unit == "short" { "0" } else { "-" }),
            Kind::Lines => {
                defaults["custom"] = json!({"lineWidth": 1, "fillOpacity": 0, "showPoints": "auto"});
                defaults["min"] = json!(0);
            }
            Kind::Stack => {
                defaults["custom"] = json!({
                    "lineWidth": 1, "fillOpacity": 40, "showPoints": "never", "stacking": {"mode": "normal", "group": "A"},
                });
                defaults["min"] = json!(0);
            }
            Kind::Heatmap | Kind::Table => {}
        }
        defaults
    }

    /// The units of a table's columns, and where its DAGs and tasks lead to.
    fn overrides(&self) -> Vec<Value> {
        if self.kind != Kind::Table {
            return Vec::new();
        }
        let by_name = |name: &str, id: &str, value: Value| json!({"matcher": {"id": "byName", "options": name}, "properties": [{"id": id, "value": value}]});
        let mut overrides: Vec<_> =
            self.queries.iter().map(|query| by_name(query.legend, "unit", json!(query.unit))).collect();
        let link = |title: &str, url: &str| json!({"title": title, "url": url});
        let dag =
            "/d/dagtel-dag?var-dag_id=${__data.fields.dag_id}&${datasource:queryparam}&${__url_time_range}";
        let task = "/d/dagtel-task?var-dag_id=${__data.fields.dag_id}&var-task_id=${__data.fields.task_id}&\
                    ${datasource:queryparam}&${__url_time_range}";
        let mut of_dag = vec![link("Show the DAG", dag)];
        if self.jaeger {
            let runs = json!({"refId": "A", "queryType": "search", "service": "${__data.fields.dag_id}"});
            of_dag.push(link("Its runs in Jaeger", &explore(&runs)));
        }
        overrides.push(by_name("dag_id", "links", json!(of_dag)));
        overrides.push(by_name("task_id", "links", json!([link("Show the task", task)])));
        overrides
    }

    fn options(&self) -> Value {
        match self.kind {
            Kind::Stat => json!({
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "textMode": "auto",
                "orientation": "auto", "wideLayout": true, "showPercentChange": false,
                "percentChangeColorMode": "standard",
            }),
            Kind::Lines | Kind::Stack => json!({
                "legend": {
                    "displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["lastNotNull", "max"],
                },
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Kind::Heatmap => json!({
                "calculate": false,
                "cellGap": 1,
                "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "reverse": false},
                "exemplars": {"color": "rgba(255,0,255,0.7)"},
                "filterValues": {"le": 1e-9},
                "legend": {"show": true},
                "rowsFrame": {"layout": "auto"},
                "showValue": "never",
                "tooltip": {"mode": "single", "yHistogram": false},
                "yAxis": {"axisPlacement": "left", "reverse": false, "unit": self.unit},
            }),
            Kind::Table => json!({"frameIndex": 0, "showHeader": true, "cellHeight": "sm"}),
        }
    }

    /// One row for each set of labels, with the queries as columns under their headings.
    fn transformations(&self) -> Value {
        let letters = (b'A'..).map(char::from);
        let names: serde_json::Map<_, _> = letters
            .zip(&self.queries)
            .map(|(letter, query)| (format!("Value #{letter}"), json!(query.legend)))
            .collect();
        json!([
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": true}, "indexByName": {}, "renameByName": names}},
        ])
    }
}
