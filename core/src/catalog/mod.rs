//! The catalogers: one file a kind of package, one line in the list.

use crate::layer::Cataloger;

/// Every cataloger, in the order in which they resolve: the distribution first, then those that own files.
pub const ALL: &[&'static dyn Cataloger] = &[];
