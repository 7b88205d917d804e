//! Spans in the order of the tree, each with the lines that lead to it.

use std::collections::BTreeMap;

use super::store::{SpanId, SpanRow, Trace};

/// Levels whose lines are drawn; deeper rows show the innermost ones only.
pub(crate) const MAX_LEVELS: usize = 12;

/// One row of the tree.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) span: &'a SpanRow,
    pub(crate) place: Place,
    /// For each level above, outermost first: whether a line goes on below. At most [`MAX_LEVELS`].
    pub(crate) lines: Vec<bool>,
    /// Whether there are more levels than `lines` has room for.
    pub(crate) deeper: bool,
}

/// How a row hangs in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A span without a parent.
    Root,
    /// A span whose parent did not arrive.
    Orphan(SpanId),
    /// A span that is, through its parents, its own ancestor.
    Circle,
    /// A child; the flag says whether it is the last one of its parent.
    Child { last: bool },
}

/// All rows of a trace, top to bottom. Brothers go by start, then by id.
pub(crate) fn rows(trace: &Trace) -> Vec<Row<'_>> {
    let mut walk = Walk::new(trace);
    let mut tops: Vec<usize> =
        (0..trace.spans.len()).filter(|&index| walk.parent_of(index).is_none()).collect();
    tops.sort_by_key(|&index| order(&trace.spans[index]));
    for top in tops {
        let place = match trace.spans[top].parent {
            None => Place::Root,
            Some(parent) => Place::Orphan(parent),
        };
        walk.down_from(top, place);
    }
    // Whatever was not reached hangs on a circle.
    let mut rest: Vec<usize> = (0..trace.spans.len()).filter(|&index| !walk.seen[index]).collect();
    rest.sort_by_key(|&index| order(&trace.spans[index]));
    for index in rest {
        if !walk.seen[index] {
            walk.down_from(index, Place::Circle);
        }
    }
    walk.rows
}

fn order(span: &SpanRow) -> (u64, SpanId) {
    (span.start, span.id)
}

/// The walk down from each top. A stack of its own, because a hostile trace may be ten thousand levels deep.
struct Walk<'a> {
    trace: &'a Trace,
    children: BTreeMap<usize, Vec<usize>>,
    seen: Vec<bool>,
    rows: Vec<Row<'a>>,
}

struct Step {
    index: usize,
    place: Place,
    lines: Vec<bool>,
    deeper: bool,
}

impl<'a> Walk<'a> {
    fn new(trace: &'a Trace) -> Self {
        let seen = vec![false; trace.spans.len()];
        let mut walk = Self { trace, children: BTreeMap::new(), seen, rows: Vec::new() };
        for index in 0..trace.spans.len() {
            if let Some(parent) = walk.parent_of(index) {
                walk.children.entry(parent).or_default().push(index);
            }
        }
        for brothers in walk.children.values_mut() {
            brothers.sort_by_key(|&index| order(&trace.spans[index]));
        }
        walk
    }

    fn parent_of(&self, index: usize) -> Option<usize> {
        let parent = self.trace.spans[index].parent?;
        self.trace.by_id.get(&parent)?.first().copied()
    }

    fn down_from(&mut self, top: usize, place: Place) {
        let mut stack = vec![Step { index: top, place, lines: Vec::new(), deeper: false }];
        while let Some(step) = stack.pop() {
            if std::mem::replace(&mut self.seen[step.index], true) {
                continue;
            }
            self.push_children(&step, &mut stack);
            let Step { index, place, lines, deeper } = step;
            self.rows.push(Row { span: &self.trace.spans[index], place, lines, deeper });
        }
    }

    fn push_children(&self, step: &Step, stack: &mut Vec<Step>) {
        let brothers = self.children.get(&step.index).map_or(&[][..], Vec::as_slice);
        let Some(&last) = brothers.iter().rfind(|&&index| !self.seen[index]) else { return };
        let mut lines = step.lines.clone();
        let mut deeper = step.deeper;
        if let Place::Child { last } = step.place {
            lines.push(!last);
        }
        if lines.len() > MAX_LEVELS {
            lines.remove(0);
            deeper = true;
        }
        // Last in, first out: the first brother must come off the stack first.
        for &index in brothers.iter().rev() {
            let place = Place::Child { last: index == last };
            stack.push(Step { index, place, lines: lines.clone(), deeper });
        }
    }
}
