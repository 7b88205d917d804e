//! Protobuf's wire format, as far as OTLP needs it to be written
//! (<https://protobuf.dev/programming-guides/encoding/>).

/// Appends fields to a buffer. A field with the default value of its type is left out, as proto3 does, except by the
/// methods that say otherwise.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

impl Writer {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn reserve(&mut self, more: usize) {
        self.0.reserve(more);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Fields that were written apart.
    pub(crate) fn append(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    pub(crate) fn uint(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.int_always(field, value);
        }
    }

    /// A member of a `oneof`: written even when it is zero, for it says which member is set.
    pub(crate) fn int_always(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        self.varint(value);
    }

    pub(crate) fn fixed64(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.fixed64_always(field, value);
        }
    }

    /// A member of a `oneof`, or an `optional` field.
    pub(crate) fn fixed64_always(&mut self, field: u32, value: u64) {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn fixed32(&mut self, field: u32, value: u32) {
        if value != 0 {
            self.tag(field, FIXED32);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.bytes_always(field, value);
        }
    }

    /// A member of a `oneof`, or an item of a repeated field.
    pub(crate) fn bytes_always(&mut self, field: u32, value: &[u8]) {
        self.tag(field, BYTES);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A packed repeated field of 64-bit numbers.
    pub(crate) fn packed64(&mut self, field: u32, values: impl ExactSizeIterator<Item = u64>) {
        if values.len() > 0 {
            self.tag(field, BYTES);
            self.varint(values.len() as u64 * 8);
            values.for_each(|value| self.0.extend_from_slice(&value.to_le_bytes()));
        }
    }

    /// A nested message, written in place: its length is put before it once it is known.
    pub(crate) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.tag(field, BYTES);
        let start = self.0.len();
        self.0.push(0);
        write(self);
        let len = self.0.len() - start - 1;
        if len < 0x80 {
            self.0[start] = len as u8;
            return;
        }
        // The length needs more than the byte that was left for it: the message makes room.
        let width = (len.ilog2() / 7 + 1) as usize;
        let end = self.0.len();
        self.0.resize(end + width - 1, 0);
        self.0.copy_within(start + 1..end, start + width);
        for (place, byte) in self.0[start..start + width].iter_mut().enumerate() {
            let more = if place + 1 < width { 0x80 } else { 0 };
            *byte = (len >> (7 * place)) as u8 & 0x7f | more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_every_width_come_out_canonical() {
        for len in [0usize, 1, 127, 128, 16_383, 16_384, 70_000] {
            let mut writer = Writer::default();
            writer.message(2, |inner| inner.0.resize(inner.0.len() + len, 7));
            let mut expected = Writer::default();
            expected.bytes_always(2, &vec![7; len]);
            assert_eq!(writer.0, expected.0, "{len}");
        }
    }
}
