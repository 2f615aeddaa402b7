//! The catalogers: one file a kind of package, one line in the list.

use crate::layer::Cataloger;

pub mod apk;
pub mod dpkg;
pub mod executable;
pub mod java;
pub mod node;
pub mod os_release;
pub mod pacman;
pub mod python;
pub mod rpm;

/// Every cataloger, in the order in which they resolve: the distribution first, then those that own files.
pub const ALL: &[&'static dyn Cataloger] = &[
    &os_release::OsRelease,
    &dpkg::Dpkg,
    &apk::Apk,
    &pacman::Pacman,
    &rpm::Rpm,
    &python::Python,
    &node::Node,
    &java::Java,
    &executable::Executable,
];

#[cfg(test)]
mod tests;
