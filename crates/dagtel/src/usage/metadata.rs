//! The metadata of a DAG, unfolded beside the compressed text.

use dagtel_core::catalog::attribute;
use dagtel_core::limits::STRING_BYTES;
use dagtel_core::value::{Attribute, SmolStr, Value};
use dagtel_usage::metadata::decompress;

use super::collector;

/// Keys of metadata that become attributes. Cosmos writes twelve.
const KEYS: usize = 64;

/// Puts what is in the attribute `dag_metadata` beside it as `dag_metadata.<key>`, or why it cannot be read as
/// `dag_metadata.error`. A text that is too long for an attribute is not read: what it unfolds to would hold up the
/// engine's call.
pub(crate) fn unfold(attributes: &mut Vec<Attribute>) {
    let compressed = attributes.iter().find(|(key, _)| *key == attribute::DAG_METADATA);
    let Some(compressed) = compressed.and_then(|(_, value)| value.as_str()) else { return };
    if compressed.len() > STRING_BYTES {
        let reason = format!("it has more than {STRING_BYTES} bytes");
        attributes.push((attribute::DAG_METADATA_ERROR, reason.into()));
        return;
    }
    match decompress(compressed) {
        Ok(metadata) => {
            let known = metadata.iter().take(KEYS).filter_map(|(key, value)| {
                let key: SmolStr = [attribute::DAG_METADATA.as_str(), ".", key].concat().into();
                Some((key, collector::attribute(value)?))
            });
            let known: Vec<Attribute> = known.collect();
            attributes.extend(known);
        }
        Err(error) => attributes.push((attribute::DAG_METADATA_ERROR, Value::from(error.to_string()))),
    }
}
