//! The published JSON Schema of event lines is the one that the code reads by.

use std::path::Path;

#[test]
fn the_published_schema_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/event.schema.json");
    let expected = format!("{:#}\n", dagtel_core::event::line::schema().to_value());
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == expected,
        "{} is not what `dagtel schema` prints: write it anew with `dagtel schema > docs/event.schema.json`",
        path.display()
    );
}
