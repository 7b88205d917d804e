//! The fold's series under Airflow's legacy names, as the Collector's Prometheus exporter shows them when they are sent by
//! OTLP.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dagtel_core::catalog::naming::{
    LegacySeries, Rules, has_legacy_names, legacy_of, prometheus_name_of, wire_name,
};
use dagtel_scrape::{Family, Page};

use super::series;
use super::told::Told;

/// Writes them behind all others, whose `names` no family may have a second time, as far as there is room on the page.
pub(super) fn write(
    page: &mut Page,
    told: &[(&String, Arc<Told>)],
    names: &BTreeSet<String>,
    admitted: &mut LegacySeries,
) {
    let several = told.len() > 1;
    let mut families: BTreeMap<String, Family<'_>> = BTreeMap::new();
    for (dir, told) in told.iter().filter(|(_, told)| told.naming.legacy_names) {
        let may_have = |name: &str| has_legacy_names(name) && told.naming.filter.admits(name);
        for series in told.metrics.series().filter(|series| may_have(series.metric.definition().name)) {
            let Some(tags) = series.tags else { continue };
            let definition = series::shown(series.metric, told);
            let all: Vec<_> = series::named(&definition, tags).collect();
            let Some(legacy) = legacy_of(definition.name, &all) else { continue };
            if !told.naming.filter.admits(&legacy.name) {
                continue;
            }
            let Ok(name) = wire_name(Rules::Otel, &told.prefix, &legacy.name) else {
                admitted.refuse(definition.name, &all);
                continue;
            };
            // Names that differ in OTLP may be one here.
            let name = prometheus_name_of(&name, &definition);
            let dir = several.then_some(dir.as_str());
            let same_kind =
                families.get(&name).is_none_or(|family| family.kind == series::kind(definition.kind));
            let mut series_of_dir = legacy.tags.clone();
            series_of_dir.extend(dir.map(|dir| ("spool", dir)));
            let mut all_of_dir = all.clone();
            all_of_dir.extend(dir.map(|dir| ("spool", dir)));
            if names.contains(&name) || !same_kind {
                admitted.refuse(definition.name, &all_of_dir);
            } else if admitted.admits(&name, &series_of_dir, definition.name, &all_of_dir)
                && let Some(value) = series::value(series.point, told.naming.milliseconds)
            {
                let family = families.entry(name).or_insert_with_key(|name| {
                    Family::new(name.clone(), series::kind(definition.kind), definition.description)
                });
                family.push(series::with_static(legacy.tags, told, dir), value);
            }
        }
    }
    for family in families.values() {
        page.family(family, page.room());
    }
}
