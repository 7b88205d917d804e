//! The dashboards as they lie in `otel-collector/grafana/dashboards`: what they ask Prometheus.

use std::fs;

use serde_json::Value;

use crate::parts;

/// A question of a dashboard.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Question {
    /// Which file, which panel or variable.
    pub place: String,
    /// What Prometheus is asked, with variables of Grafana's.
    pub expression: String,
    /// Labels that the answer must have, because a legend, a link or a variable shows them.
    pub labels: Vec<String>,
}

/// Every question of every dashboard.
///
/// # Panics
/// When a file cannot be read.
pub fn questions() -> Vec<Question> {
    let folder = parts::shipped("grafana/dashboards");
    let mut files: Vec<_> = fs::read_dir(&folder).expect("the dashboards are there").flatten().collect();
    files.sort_by_key(fs::DirEntry::file_name);
    let mut questions = Vec::new();
    for file in files {
        let name = file.file_name().display().to_string();
        let text = fs::read_to_string(file.path()).expect("a dashboard can be read");
        let dashboard: Value = serde_json::from_str(&text).expect("a dashboard is JSON");
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        for variable in list(&dashboard["templating"]["list"]) {
            questions.extend(of_variable(&name, &variable));
        }
        for panel in list(&dashboard["panels"]) {
            let place = format!("{name}, {}", panel["title"]);
            for target in list(&panel["targets"]) {
                questions.push(of_target(&place, panel["type"] == "table", &target));
            }
        }
    }
    questions
}

fn of_target(place: &str, table: bool, target: &Value) -> Question {
    let expression = target["expr"].as_str().expect("a query has an expression").to_owned();
    let legend = target["legendFormat"].as_str().unwrap_or_default();
    let shown = legend.split("{{").skip(1).filter_map(|part| part.split("}}").next());
    let mut labels: Vec<_> = shown.map(str::to_owned).collect();
    if table {
        // The rows are told apart by what the expression groups by.
        let by = expression.split("by (").nth(1).and_then(|rest| rest.split(')').next()).unwrap_or_default();
        labels = by.split(", ").filter(|label| *label != "le").map(str::to_owned).collect();
    }
    Question { place: place.to_owned(), expression, labels }
}

/// A variable that lists the values of a label.
fn of_variable(name: &str, variable: &Value) -> Option<Question> {
    let query = variable["query"]["query"].as_str()?;
    let (expression, label) = query.strip_prefix("label_values(")?.strip_suffix(')')?.rsplit_once(", ")?;
    let place = format!("{name}, variable {}", variable["name"]);
    Some(Question { place, expression: expression.to_owned(), labels: vec![label.to_owned()] })
}
