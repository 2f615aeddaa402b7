//! rpm databases of the newest form, written by real SQLite: the tables of rpm, and headers as it writes them.

use std::path::Path;

use rusqlite::{Connection, params};

/// What the header of a package says of it here.
pub struct Package<'a> {
    pub name: &'a str,
    pub version: &'a str,
    /// Bytes of a tag that nobody reads, as file lists and change logs are.
    pub padding: usize,
    /// What these are.
    pub fill: u8,
}

/// A database, open for writing.
pub struct Database(pub Connection);

impl Database {
    /// An empty database.
    pub fn create(file: &Path) -> Self {
        Self::create_with(file, 4096)
    }

    /// The same with pages of another size.
    pub fn create_with(file: &Path, page_size: u32) -> Self {
        let connection = Connection::open(file).unwrap();
        connection.pragma_update(None, "page_size", page_size).unwrap();
        connection
            .execute_batch(
                "PRAGMA synchronous = OFF;
                 PRAGMA foreign_keys = OFF;
                 PRAGMA journal_mode = WAL;
                 CREATE TABLE IF NOT EXISTS 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL);
                 CREATE TABLE IF NOT EXISTS 'Name' (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL,
                     FOREIGN KEY (hnum) REFERENCES 'Packages'(hnum));
                 CREATE INDEX IF NOT EXISTS 'Name_key_idx' ON 'Name'(key ASC);",
            )
            .unwrap();
        Self(connection)
    }

    /// Adds a package.
    pub fn insert(&self, package: &Package<'_>) {
        self.0.execute("INSERT INTO Packages (blob) VALUES (?)", params![header(package)]).unwrap();
        let number = self.0.last_insert_rowid();
        self.0.execute("INSERT INTO Name VALUES (?, ?, 0)", params![package.name, number]).unwrap();
    }

    /// Puts a package in the place of another one.
    pub fn replace(&self, number: i64, package: &Package<'_>) {
        self.0.execute("INSERT OR REPLACE INTO Packages VALUES (?, ?)", params![number, header(package)]).unwrap();
    }

    /// Removes a package.
    pub fn remove(&self, number: i64) {
        self.0.execute("DELETE FROM Packages WHERE hnum = ?", params![number]).unwrap();
        self.0.execute("DELETE FROM Name WHERE hnum = ?", params![number]).unwrap();
    }
}

/// The header of a package (rpm, "Package format", header structure): tags with the places of their values, and the values.
pub fn header(package: &Package<'_>) -> Vec<u8> {
    const STRING: u32 = 6;
    const BINARY: u32 = 7;
    let padding = vec![package.fill; package.padding];
    let tags: [(u32, u32, &[u8]); 5] = [
        (1000, STRING, package.name.as_bytes()),
        (1001, STRING, package.version.as_bytes()),
        (1002, STRING, b"1"),
        (1022, STRING, b"x86_64"),
        (5000, BINARY, &padding),
    ];
    let (mut table, mut values) = (Vec::new(), Vec::new());
    for (tag, kind, value) in tags {
        let count = if kind == BINARY { value.len() as u32 } else { 1 };
        table.extend([tag, kind, values.len() as u32, count].into_iter().flat_map(u32::to_be_bytes));
        values.extend_from_slice(value);
        values.push(0);
    }
    let lengths = [tags.len() as u32, values.len() as u32].into_iter().flat_map(u32::to_be_bytes);
    lengths.chain(table).chain(values).collect()
}
