//! What the registry was asked for.

/// One request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query.
    pub query: String,
    /// The status that was answered.
    pub status: u16,
    /// Bytes of the body that were handed to the connection so far.
    pub bytes: u64,
    /// The scheme of `Authorization`, such as `Bearer`; none where the request had none.
    pub authorization: Option<String>,
    /// The range that was asked for.
    pub range: Option<String>,
}
