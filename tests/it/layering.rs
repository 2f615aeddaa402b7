//! The table of `ARCHITECTURE.md` holds: nothing in `core/src` imports upward, or sideways where the table does not say so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

struct Row {
    rank: u32,
    also: BTreeSet<String>,
}

type Table = BTreeMap<String, Row>;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The rows `| rank | module | … | … | also imports |`.
fn table(text: &str) -> Table {
    let mut table = Table::new();
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Ok(rank) = cells[0].parse() else { continue };
        let [module] = &quoted(cells[1])[..] else { panic!("one module a row: {line}") };
        let row = Row { rank, also: quoted(cells[4]).into_iter().collect() };
        assert!(table.insert(module.clone(), row).is_none(), "{module} has two rows");
    }
    table
}

/// The words between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The modules that a source file names, with their lines: `crate::…`, and `super::…` that climbs up to the root.
fn imports(source: &str, depth: usize) -> Vec<(usize, String)> {
    let climb = "super::".repeat(depth);
    let mut found = Vec::new();
    for (index, line) in code(source) {
        let line = line.split("//").next().unwrap_or_default();
        for start in ["crate::", &climb] {
            for (at, _) in line.match_indices(start) {
                let before = line[..at].chars().next_back();
                if before
                    .is_some_and(|before| before == ':' || before == '_' || before == '$' || before.is_alphanumeric())
                {
                    continue;
                }
                let rest = &line[at + start.len()..];
                if start == climb && rest.starts_with("super::") {
                    continue;
                }
                assert!(
                    !rest.starts_with('{'),
                    "line {index}: one module an import, so that the test can read it: {line}"
                );
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                found.push((index, name));
            }
        }
    }
    found
}

/// The lines before the tests of a file, numbered from 1.
fn code(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut lines = source.lines().peekable();
    let mut number = 0;
    std::iter::from_fn(move || {
        let line = lines.next()?;
        number += 1;
        let is_test = line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.ends_with('{'));
        (!is_test).then_some((number, line))
    })
}

/// What `module` does that the table does not allow.
fn violations(table: &Table, module: &str, imports: &[(usize, String)]) -> Vec<String> {
    let Some(row) = table.get(module) else { return vec![format!("`{module}` has no row in ARCHITECTURE.md")] };
    let judge = |(line, name): &(usize, String)| {
        let verdict = match table.get(name) {
            _ if name == module || row.also.contains(name) => return None,
            // A name that the root re-exports: it has a module of its own, which is to be named.
            None => "is no module of the table",
            Some(other) if other.rank < row.rank => return None,
            Some(other) if other.rank == row.rank => "is of the same rank",
            Some(_) => "is of a higher rank",
        };
        Some(format!("line {line}: `{module}` imports `{name}`, which {verdict}"))
    };
    imports.iter().filter_map(judge).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !is_test {
            found.push(path);
        }
    }
}

#[test]
fn nothing_imports_upward() {
    let table = table(&fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap());
    let core = root().join("core/src");
    let mut files = Vec::new();
    sources(&core, &mut files);
    files.sort();
    assert!(files.len() > 40, "the sources are elsewhere");
    let mut wrong = Vec::new();
    for file in &files {
        let path = file.strip_prefix(&core).unwrap().with_extension("");
        let mut parts: Vec<_> = path.iter().map(|part| part.to_str().unwrap()).collect();
        parts.pop_if(|last| *last == "mod");
        let found = imports(&fs::read_to_string(file).unwrap(), parts.len());
        wrong
            .extend(violations(&table, parts[0], &found).into_iter().map(|what| format!("{}: {what}", path.display())));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn sees_what_is_wrong() {
    let table = table(
        "| rank | module | what | never | also imports |\n|---|---|---|---|---|\n\
         | 0 | `low` | | | |\n| 1 | `left` | | | `friend` |\n| 1 | `right` | | | |\n| 1 | `friend` | | | |\n| 2 | `high` | | | |\n",
    );
    let check = |source: &str| violations(&table, "left", &imports(source, 2)).len();
    for fine in [
        "use crate::low::A;",
        "use crate::left::B;",
        "use crate::friend::C;",
        "use super::c;",
        "// crate::high",
        "use a_crate::high;",
    ] {
        assert_eq!(check(fine), 0, "{fine}");
    }
    for wrong in [
        "use crate::high::A;",
        "fn f() -> crate::right::B {",
        "use super::super::high;",
        "use crate::C;",
        "    pub(crate) use crate::high;",
    ] {
        assert_eq!(check(wrong), 1, "{wrong}");
    }
    assert_eq!(check("use crate::low::A;\n#[cfg(test)]\nmod tests {\n    use crate::high::B;\n}"), 0, "tests are free");
    assert_eq!(violations(&table, "new", &[]).len(), 1, "a module without a row");
}
