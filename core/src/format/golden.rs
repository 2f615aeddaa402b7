//! What a format writes, beside what it wrote when somebody last looked at it. `UPDATE=1` renews the files, as a
//! new version of the program needs it: they name it.

use std::path::Path;

use super::{Format, sample};

/// Compares what `format` writes of the sample reports with `golden/<id>.json`.
pub(super) fn check(format: &Format) {
    let mut output = Vec::new();
    format.write(&[sample::full(), sample::varied(), sample::empty()], &mut output).unwrap();
    let text = String::from_utf8(output).unwrap();
    let mut lines = String::new();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        lines.push_str(&serde_json::to_string_pretty(&value).unwrap());
        lines.push('\n');
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/format/golden").join(format!("{}.json", format.id));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &lines).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(lines == expected, "{} writes something else: look at it, and renew it with UPDATE=1", format.id);
}
