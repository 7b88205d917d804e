//! `metrics.v1`: the points that the fold counted.

use std::borrow::Cow;

use dagtel_core::catalog::metric::{BOUNDS, Definition, Kind, Metric};
use dagtel_core::metrics::{Histogram, Metrics, Point, Series};
use dagtel_core::time::Timestamp;

use super::attribute::{static_tags, text};
use super::request;
use crate::wire::Writer;
use crate::{FRAME_BYTES, FRAME_ITEMS, Frame, Identity, Signal};

const CUMULATIVE: u64 = 2;

/// Encodes all series as they are at `now`, as `ExportMetricsServiceRequest`s of at most [`FRAME_ITEMS`] points and
/// about [`FRAME_BYTES`].
pub fn metrics(metrics: &Metrics, now: Timestamp, identity: &Identity) -> Vec<Frame> {
    let times = Times { start: metrics.start().as_nanos().min(now.as_nanos()), now: now.as_nanos() };
    let resource = identity.process_resource();
    let mut frames = Vec::new();
    let naming = &identity.naming;
    let metrics = match naming.disabled_tags.is_empty() {
        true => Cow::Borrowed(metrics),
        false => Cow::Owned(metrics.without_tags(|tag| !naming.has_tag(tag))),
    };
    let admitted = Metric::ALL.iter().map(|metric| naming.filter.admits(metric.definition().name));
    let admitted: Vec<bool> = admitted.collect();
    let mut series = metrics.series().filter(|series| admitted[series.metric as usize]).peekable();
    while series.peek().is_some() {
        let mut items = 0;
        let mut body = Writer::default();
        let mut points = Writer::default();
        while items < FRAME_ITEMS && body.len() < FRAME_BYTES {
            let Some(first) = series.next() else { break };
            points.clear();
            point(&mut points, &first, times, identity);
            items += 1;
            while items < FRAME_ITEMS
                && let Some(next) = series.next_if(|next| next.metric == first.metric)
            {
                point(&mut points, &next, times, identity);
                items += 1;
            }
            metric(&mut body, first.metric, &points, identity);
        }
        frames.push(request(Signal::Metrics, &resource, &body, items));
    }
    frames
}

#[derive(Clone, Copy)]
struct Times {
    start: u64,
    now: u64,
}

fn metric(out: &mut Writer, metric: Metric, points: &Writer, identity: &Identity) {
    let definition = metric.definition();
    out.message(2, |out| {
        out.bytes(1, [&*identity.prefix, definition.name].concat().as_bytes());
        out.bytes(2, definition.description.as_bytes());
        let millis = identity.naming.milliseconds && definition.kind == Kind::Histogram;
        out.bytes(3, if millis { "ms" } else { definition.unit }.as_bytes());
        match definition.kind {
            Kind::Counter => out.message(7, |out| {
                out.append(points);
                out.uint(2, CUMULATIVE);
                out.uint(3, 1);
            }),
            Kind::Histogram => out.message(9, |out| {
                out.append(points);
                out.uint(2, CUMULATIVE);
            }),
            _ => out.message(5, |out| out.append(points)),
        }
    });
}

fn point(out: &mut Writer, series: &Series<'_>, times: Times, identity: &Identity) {
    let definition = series.metric.definition();
    out.message(1, |out| match series.point {
        Point::Counter(count) => {
            number(out, *count, times);
            tags(out, 7, series, definition, identity);
        }
        Point::Gauge(value) => {
            number(out, value.cast_unsigned(), times);
            tags(out, 7, series, definition, identity);
        }
        Point::Last(_, value) => {
            number(out, *value, times);
            tags(out, 7, series, definition, identity);
        }
        Point::Histogram(values) => {
            histogram(out, values, times, if identity.naming.milliseconds { 1e3 } else { 1.0 });
            tags(out, 9, series, definition, identity);
        }
        _ => {}
    });
}

fn number(out: &mut Writer, value: u64, times: Times) {
    out.fixed64(2, times.start);
    out.fixed64(3, times.now);
    out.fixed64_always(6, value);
}

/// `scale` is how many of the unit are a second.
fn histogram(out: &mut Writer, values: &Histogram, times: Times, scale: f64) {
    out.fixed64(2, times.start);
    out.fixed64(3, times.now);
    out.fixed64(4, values.count());
    out.fixed64_always(5, (values.sum() * scale).to_bits());
    out.packed64(6, values.buckets().iter().copied());
    out.packed64(7, BOUNDS.iter().map(|bound| (bound * scale).to_bits()));
    if let (Some(min), Some(max)) = (values.min(), values.max()) {
        out.fixed64_always(11, (min * scale).to_bits());
        out.fixed64_always(12, (max * scale).to_bits());
    }
}

fn tags(out: &mut Writer, field: u32, series: &Series<'_>, definition: &Definition, identity: &Identity) {
    let Some(tags) = series.tags else {
        text(out, field, "overflow", "true");
        static_tags(out, field, &identity.tags, |tag| tag == "overflow");
        return;
    };
    let known = || definition.tags.iter().zip(tags.values()).filter(|(_, value)| !value.is_empty());
    known().for_each(|(name, value)| text(out, field, name, value));
    static_tags(out, field, &identity.tags, |tag| known().any(|(name, _)| *name == tag));
}
