//! The one decompressor: never more than its limit, and what was compressed comes back.

#![no_main]

use std::io::Write as _;

use dagtel_otlp::capped::{CappedError, gunzip, gunzip_within};
use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;

/// Bytes that an input may unfold to.
const LIMIT: usize = 64 * 1024;

fuzz_target!(|data: &[u8]| {
    if let Ok(plain) = gunzip(data, LIMIT) {
        assert!(plain.len() <= LIMIT);
        if let Some(less) = plain.len().checked_sub(1) {
            assert_eq!(gunzip(data, less), Err(CappedError::OutputTooLarge { limit: less }));
        }
        assert!(gunzip_within(data, data.len() - 1, LIMIT).is_err());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).expect("memory takes all");
    let packed = encoder.finish().expect("memory takes all");
    assert_eq!(gunzip(&packed, data.len()).as_deref(), Ok(data));
    assert_eq!(gunzip(&packed.repeat(2), 2 * data.len()), Ok(data.repeat(2)));
    assert_eq!(gunzip(&packed[..packed.len() - 1], data.len()), Err(CappedError::Truncated));
});
