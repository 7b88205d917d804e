//! Requests whose items are grouped by their resource.

use dagtel_core::value::Attribute;

use super::attribute::attributes;
use super::scope;
use crate::wire::Writer;
use crate::{FRAME_BYTES, FRAME_ITEMS, Frame, Signal};

/// About what a resource and a scope take.
const RESOURCE_BYTES: usize = 512;

/// Requests of one signal in the making: items in their order, those that follow each other with one resource together.
pub(super) struct Requests {
    signal: Signal,
    done: Vec<Frame>,
    request: Writer,
    items: usize,
    group: Writer,
}

impl Requests {
    pub(super) fn new(signal: Signal) -> Self {
        Self { signal, done: Vec::new(), request: Writer::default(), items: 0, group: Writer::default() }
    }

    /// Before an item: closes the group unless the item has the `same` resource as those in it, and the request if it is full.
    pub(super) fn make_room(&mut self, same: bool, resource: impl Fn() -> Option<Vec<Attribute>>) {
        let full = self.items >= FRAME_ITEMS || self.request.len() + self.group.len() >= FRAME_BYTES;
        if !same || full {
            self.close_group(resource);
        }
        if full {
            self.close_request();
        }
    }

    pub(super) fn item(&mut self, encode: impl FnOnce(&mut Writer)) {
        self.group.message(2, encode);
        self.items += 1;
    }

    pub(super) fn finish(mut self, resource: impl Fn() -> Option<Vec<Attribute>>) -> Vec<Frame> {
        self.close_group(resource);
        self.close_request();
        self.done
    }

    fn close_group(&mut self, resource: impl Fn() -> Option<Vec<Attribute>>) {
        if self.group.len() == 0 {
            return;
        }
        let Some(resource) = resource() else { return };
        self.request.reserve(self.group.len() + RESOURCE_BYTES);
        self.request.message(1, |out| {
            out.message(1, |out| attributes(out, 1, &resource));
            out.message(2, |out| {
                scope(out);
                out.append(&self.group);
            });
        });
        self.group.clear();
    }

    fn close_request(&mut self) {
        if self.items > 0 {
            let body = std::mem::take(&mut self.request).into_bytes();
            self.done.push(Frame::new(self.signal, body, std::mem::take(&mut self.items)));
        }
    }
}
