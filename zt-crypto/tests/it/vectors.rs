//! Reads the vectors of `testdata/`.

use serde_json::Value;

/// Reads a file of `testdata/`.
pub(crate) fn load(name: &str) -> Value {
    let path = format!("{}/testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the vectors are part of the crate");
    serde_json::from_str(&text).expect("the vectors are JSON")
}

/// Returns the entries of a list, which must not be empty.
pub(crate) fn list(value: &Value) -> &[Value] {
    let list = value.as_array().expect("a list in the vectors");
    assert!(!list.is_empty());
    list
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("a text in the vectors")
}

/// Reads bytes in hexadecimal.
pub(crate) fn hex(value: &Value) -> Vec<u8> {
    let (pairs, rest) = text(value).as_bytes().as_chunks();
    assert!(rest.is_empty());
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect::<Option<_>>()
        .expect("hexadecimal digits in the vectors")
}

/// Reads exactly `N` bytes in hexadecimal.
pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().expect("bytes of this length in the vectors")
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    /// A vector file that nothing looks at proves nothing.
    #[test]
    fn every_vector_file_is_named_in_a_test() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let sources: String = ["src", "tests"]
            .iter()
            .flat_map(|folder| files(&root.join(folder)))
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        let vectors = files(&root.join("testdata"));
        assert!(vectors.len() >= 13, "{vectors:?}");
        for path in vectors.iter().filter(|path| !path.ends_with("README.md")) {
            let name = path.strip_prefix(root.join("testdata")).unwrap().to_str().unwrap();
            assert!(sources.contains(&format!("\"{name}\"")), "{name} is not used by any test");
        }
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }
}
