//! The limits that keep any image within bounded memory and time. Meeting one is a problem, not a failure.

use crate::error::{Error, Kind, Result};

/// What is read at the most. Each limit that is met is reported as a problem, and the rest of the image is still read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Entries in a layer.
    pub entries: u64,
    /// Bytes of a path.
    pub path: u64,
    /// Bytes of a file that is taken whole; what is read as it streams by has no limit.
    pub file: u64,
    /// Decompressed bytes of a layer.
    pub layer: u64,
    /// How many times its size a layer may expand, counted beyond the first GiB.
    pub expansion: u64,
    /// Archives in archives.
    pub nesting: u64,
    /// Packages of an image.
    pub packages: u64,
    /// Bytes of a manifest or an index.
    pub manifest: u64,
    /// Bytes of an image configuration.
    pub config: u64,
    /// Indexes in an index.
    pub index: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 4_000_000,
            path: 4_096,
            file: 16 << 20,
            layer: 128 << 30,
            expansion: 200,
            nesting: 8,
            packages: 200_000,
            manifest: 4 << 20,
            config: 16 << 20,
            index: 2,
        }
    }
}

impl Limits {
    /// The names that [`Limits::set`] takes, in the order of the fields.
    pub const NAMES: &'static [&'static str] =
        &["entries", "path", "file", "layer", "expansion", "nesting", "packages", "manifest", "config", "index"];

    /// The same limits, for images whose documents have at most so many bytes.
    pub(crate) fn with_documents(&self, bytes: u64) -> Self {
        Self { manifest: self.manifest.min(bytes), config: self.config.min(bytes), ..self.clone() }
    }

    /// Changes the limit called `name`, as `--limit NAME=N` and the configuration of the bindings spell it.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] for an unknown name or a value of 0.
    pub fn set(&mut self, name: &str, value: u64) -> Result<()> {
        let field = match name {
            "entries" => &mut self.entries,
            "path" => &mut self.path,
            "file" => &mut self.file,
            "layer" => &mut self.layer,
            "expansion" => &mut self.expansion,
            "nesting" => &mut self.nesting,
            "packages" => &mut self.packages,
            "manifest" => &mut self.manifest,
            "config" => &mut self.config,
            "index" => &mut self.index,
            _ => {
                return Err(Error::new(Kind::InvalidInput, "there is no such limit")
                    .with("limit", name.escape_debug())
                    .with_hint(format!("the limits are {}", Self::NAMES.join(", "))));
            }
        };
        if value == 0 {
            return Err(Error::new(Kind::InvalidInput, "a limit of 0 would read nothing").with("limit", name));
        }
        *field = value;
        Ok(())
    }
}
