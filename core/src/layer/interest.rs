//! What catalogers want to see of a layer, compiled into one table that decides for every entry.

/// How a file is handed to a cataloger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Take {
    /// As one slice; a file above the limit `file` is a problem instead.
    Whole,
    /// As a reader, whatever its size. Only one cataloger, the first of the list, gets the stream of a file; where the file
    /// fits into the limit `file`, all get it.
    Stream,
}

/// A reason to look at a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// The path matches a glob: `*` and `?` within a component, `**` across, `{a,b}`; relative to the root.
    Path(&'static str, Take),
    /// The content starts with these bytes, 1 to 16 of them.
    Magic(&'static [u8], Take),
    /// The file may be executed by somebody.
    Executable(Take),
}
