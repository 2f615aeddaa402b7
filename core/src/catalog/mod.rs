//! The catalogers: one file a kind of package, one line in the list.

use crate::layer::Cataloger;

pub mod apk;
pub mod conda;
pub mod dart;
pub mod dotnet;
pub mod dpkg;
pub mod elixir;
pub mod executable;
mod fnv;
pub mod java;
pub mod lua;
pub mod node;
pub mod os_release;
pub mod pacman;
pub mod perl;
pub mod php;
pub mod python;
pub mod r;
mod record;
pub mod rpm;
pub mod ruby;
pub mod swift;

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
    &ruby::Ruby,
    &php::Php,
    &dotnet::Dotnet,
    &conda::Conda,
    &r::R,
    &perl::Perl,
    &lua::Lua,
    &elixir::Elixir,
    &swift::Swift,
    &dart::Dart,
];

#[cfg(test)]
mod tests;
