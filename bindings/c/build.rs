//! Names the shared library for the loader.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // Another minor version before 1.0 may change the interface.
        let version = format!(
            "{}.{}",
            std::env::var("CARGO_PKG_VERSION_MAJOR").unwrap_or_default(),
            std::env::var("CARGO_PKG_VERSION_MINOR").unwrap_or_default()
        );
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libtidewaiter.so.{version}");
    }
}
