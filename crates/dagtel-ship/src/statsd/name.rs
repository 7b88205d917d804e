//! What a series is called.

use std::fmt::Write as _;

use dagtel_core::catalog::naming::{Rules, legacy_of, normalized, wire_name};

use super::{Statsd, TagStyle};

/// A name, and what stands behind the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) tags: String,
}

/// What a series is called: by its name, by its legacy name, or by both. Those that are not allowed are left out; when
/// none is left, the reason comes back.
pub(super) fn names(
    to: &Statsd,
    name: &str,
    is_gauge: bool,
    tags: &[(String, String)],
) -> Result<Vec<Name>, &'static str> {
    let (prefix, bare) = match name.strip_prefix(&to.otel_prefix) {
        Some(bare) => (&*to.prefix, bare),
        None => ("", name),
    };
    let enabled = tags.iter().filter(|(tag, _)| !to.disabled_tags.contains(tag));
    let tags: Vec<(&str, &str)> = enabled.map(|(tag, value)| (&**tag, &**value)).collect();
    let own: Vec<_> =
        tags.iter().copied().filter(|(tag, _)| to.static_tags.iter().all(|fixed| fixed != tag)).collect();
    let legacy = if to.tells_legacy_names() { legacy_of(bare, &tags) } else { None };
    let legacy = legacy.filter(|legacy| to.filter.admits(&legacy.name));
    let mut wanted = Vec::with_capacity(2);
    match to.tags {
        TagStyle::None if is_gauge && !own.is_empty() => {
            // Gauges of one name would overwrite each other; the legacy name tells them apart.
            if legacy.is_none() {
                wanted.push((dotted(bare, &own), Vec::new()));
            }
        }
        TagStyle::None => wanted.push((bare.to_owned(), Vec::new())),
        TagStyle::Datadog | TagStyle::Influx => wanted.push((bare.to_owned(), tags.clone())),
    }
    wanted.extend(legacy.map(|legacy| (legacy.name, legacy.tags)));
    let mut why = "name";
    let named = wanted.into_iter().filter_map(|(name, tags)| {
        let written = written(to.tags, prefix, &name, &tags);
        written.map_err(|reason| why = reason).ok()
    });
    let named: Vec<_> = named.collect();
    if named.is_empty() { Err(why) } else { Ok(named) }
}

/// The values of the tags as parts of the name, each `.` as `__`, as legacy names have them.
fn dotted(name: &str, tags: &[(&str, &str)]) -> String {
    let mut dotted = name.to_owned();
    for (_, value) in tags {
        dotted.push('.');
        dotted.push_str(&normalized(&value.replace('.', "__")));
    }
    dotted
}

fn written(style: TagStyle, prefix: &str, name: &str, tags: &[(&str, &str)]) -> Result<Name, &'static str> {
    let rules = if style == TagStyle::Influx { Rules::Influx } else { Rules::Statsd };
    let mut name = wire_name(rules, prefix, name).map_err(|error| match error {
        dagtel_core::catalog::naming::NameError::TooLong => "name_too_long",
        _ => "name_characters",
    })?;
    let mut behind = String::new();
    for (place, (tag, value)) in tags.iter().enumerate() {
        // Writing to a text does not fail.
        let _ = match style {
            TagStyle::None => Ok(()),
            TagStyle::Influx => write!(name, ",{}={}", clean(tag), clean(value)),
            TagStyle::Datadog => {
                write!(behind, "{}{}:{}", if place == 0 { "|#" } else { "," }, clean(tag), clean(value))
            }
        };
    }
    Ok(Name { name, tags: behind })
}

/// Without what ends a tag, a value or a line.
fn clean(text: &str) -> String {
    text.replace(|letter: char| ",|=:\n\r".contains(letter) || letter.is_control(), "_")
}

#[cfg(test)]
mod tests {
    use dagtel_core::catalog::naming::NameFilter;

    use super::*;

    fn told(to: &Statsd, name: &str, is_gauge: bool, tags: &[(&str, &str)]) -> Vec<String> {
        let tags: Vec<_> = tags.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect();
        match names(to, name, is_gauge, &tags) {
            Ok(names) => names.into_iter().map(|name| name.name + &name.tags).collect(),
            Err(why) => vec![why.to_owned()],
        }
    }

    const FINISH: [(&str, &str); 5] = [
        ("dag_id", "shop"),
        ("task_id", "grp.load"),
        ("state", "success"),
        ("execution_mode", "local"),
        ("region", "eu"),
    ];

    #[test]
    fn without_tags_the_legacy_name_tells_series_apart() {
        let mut to = Statsd::new("h", 1);
        to.static_tags.push("region".to_owned());
        let both = ["airflow.ti.finish", "airflow.ti.finish.shop.grp__load.success"];
        assert_eq!(told(&to, "airflow.ti.finish", false, &FINISH), both);
        // A gauge only where it is not overwritten.
        let pool = [("pool_name", "my pool"), ("region", "eu")];
        assert_eq!(told(&to, "airflow.pool.open_slots", true, &pool), ["airflow.pool.open_slots.my_pool"]);
        let run = [("dag_id", "a.b"), ("region", "eu")];
        assert_eq!(told(&to, "airflow.dagrun.active", true, &run), ["airflow.dagrun.active.a__b"]);
        assert_eq!(told(&to, "airflow.dagbag_size", true, &[("region", "eu")]), ["airflow.dagbag_size"]);
        assert_eq!(told(&to, "dagtel.produced", false, &[("signal", "x")]), ["dagtel.produced"]);
        to.filter = NameFilter::new("", "ti.finish.shop").unwrap();
        assert_eq!(told(&to, "airflow.ti.finish", false, &FINISH), [both[0]]);
        (to.legacy_names, to.prefix) = (Some(false), String::new());
        assert_eq!(told(&to, "airflow.ti.finish", false, &FINISH), ["ti.finish"]);
        assert_eq!(told(&to, "airflow.pool.open_slots", true, &pool), ["pool.open_slots.my_pool"]);
    }

    #[test]
    fn tags_are_written_as_each_daemon_reads_them() {
        let mut to = Statsd::new("h", 1);
        (to.tags, to.disabled_tags) = (TagStyle::Datadog, vec!["region".to_owned()]);
        let tags = "#dag_id:shop,task_id:grp.load,state:success,execution_mode:local";
        assert_eq!(told(&to, "airflow.ti.finish", false, &FINISH), [format!("airflow.ti.finish|{tags}")]);
        to.legacy_names = Some(true);
        let legacy = told(&to, "airflow.ti.finish", false, &FINISH).pop().unwrap();
        assert_eq!(legacy, "airflow.ti.finish.shop.grp__load.success|#execution_mode:local");
        assert_eq!(told(&to, "a", true, &[("a,b", "c|d\ne")]), ["a|#a_b:c_d_e"]);
        (to.legacy_names, to.tags) = (None, TagStyle::Influx);
        let influx = "airflow.ti.finish,dag_id=shop,task_id=grp.load,state=success,execution_mode=local";
        assert_eq!(told(&to, "airflow.ti.finish", false, &FINISH), [influx]);
    }

    #[test]
    fn what_cannot_be_a_name_is_not_told() {
        let to = Statsd::new("h", 1);
        assert_eq!(told(&to, "my counter", false, &[]), ["name_characters"]);
        assert_eq!(told(&to, &"x".repeat(251), false, &[]), ["name_too_long"]);
        // The legacy name of a task with a space goes, the other stays.
        let tags = [("dag_id", "d"), ("task_id", "a b")];
        assert_eq!(told(&to, "airflow.ti.start", false, &tags), ["airflow.ti.start"]);
    }
}
