//! Reading `testdata/`.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Returns the content of a file below `testdata/`.
pub(crate) fn load(path: &str) -> Value {
    let path = format!("{}/testdata/{path}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// Returns the entries of the list `key`, of which there must be some.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let list = value[key].as_array().unwrap_or_else(|| panic!("no list {key}"));
    assert!(!list.is_empty(), "{key} is empty");
    list
}

/// Returns the text at `key`.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value}"))
}

/// Returns the bytes that the text at `key` stands for.
pub(crate) fn bytes(value: &Value, key: &str) -> Vec<u8> {
    from_hex(text(value, key))
}

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Returns what `write` appends.
pub(crate) fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0xee];
    write(&mut out);
    assert_eq!(out.remove(0), 0xee, "writing only appends");
    out
}

/// A vector file that nothing looks at proves nothing.
#[test]
fn every_vector_file_is_named_in_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: String = ["src", "tests"]
        .iter()
        .flat_map(|folder| files(&root.join(folder)))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let vectors: Vec<_> =
        files(&root.join("testdata")).into_iter().filter(|path| !path.ends_with("README.md")).collect();
    assert!(vectors.len() >= 16, "{vectors:?}");
    for path in vectors {
        let name = path.strip_prefix(root.join("testdata")).unwrap().to_str().unwrap();
        assert!(sources.contains(&format!("\"{name}\"")), "{name} is not used by any test");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
