//! What the program says, compared with files: `UPDATE_SNAPSHOTS=1` writes them anew, for a look at the difference.

use std::fs;
use std::path::Path;

/// Compares `text` with `testdata/cli/NAME.txt`.
pub(crate) fn expect(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cli").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == expected,
        "{} differs; if that is meant, run the test with UPDATE_SNAPSHOTS=1\n--- now\n{text}\n--- before\n{expected}",
        path.display()
    );
}
