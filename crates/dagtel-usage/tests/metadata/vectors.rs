//! What the original compressed (`cosmos_vectors.json`).

use dagtel_usage::json::{Dict, Value};
use dagtel_usage::metadata::{compress, decompress, from_json, to_json};

const VECTORS: &str = include_str!("../cosmos_vectors.json");

/// Name, JSON text, compressed text.
fn vectors() -> Vec<(String, String, String)> {
    let all = from_json(VECTORS).expect("the file is JSON");
    let Value::List(vectors) = &all["compress"] else { panic!("a list") };
    let field = |vector: &Value, name: &str| match vector {
        Value::Dict(vector) => match &vector[name] {
            Value::Str(text) => text.clone(),
            other => panic!("{other:?} is no text"),
        },
        other => panic!("{other:?} is no vector"),
    };
    vectors
        .iter()
        .map(|vector| (field(vector, "name"), field(vector, "json"), field(vector, "b64")))
        .collect()
}

fn of_the_large() -> Dict {
    let (_, _, text) = vectors().pop().expect("there are six");
    decompress(&text).expect("the original wrote it")
}

#[test]
fn every_vector_decodes_and_its_json_is_the_originals() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 6);
    for (name, json, text) in vectors {
        let read = decompress(&text).unwrap();
        assert_eq!(to_json(&read).unwrap(), json, "{name}");
        assert_eq!(read, from_json(&json).unwrap(), "{name}");
        let ours = compress(&read).unwrap();
        assert_eq!(to_json(&decompress(&ours).unwrap()).unwrap(), json, "{name}");
        println!(
            "{name}: {} B of JSON, {} characters from the original, {} from here",
            json.len(),
            text.len(),
            ours.len()
        );
        if cfg!(feature = "zlib") {
            assert_eq!(ours, text, "{name}: byte for byte with the same library");
        }
    }
}

#[test]
fn compressing_is_deterministic() {
    let large = of_the_large();
    assert_eq!(compress(&large), compress(&large));
    assert_eq!(compress(&large), compress(&large.clone()));
}

#[test]
fn what_is_compressed_comes_back() {
    let large = of_the_large();
    assert_eq!(decompress(&compress(&large).unwrap()).unwrap(), large);
}
