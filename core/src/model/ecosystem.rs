//! OSV ecosystems: a name and, behind a colon, a release (`Debian:12`, `Alpine:v3.20`).

/// The name of an ecosystem without its release: `Debian` of `Debian:12`.
pub fn base(ecosystem: &str) -> &str {
    ecosystem.split_once(':').map_or(ecosystem, |(base, _)| base)
}

/// The release of an ecosystem, empty where there is none: `12` of `Debian:12`.
pub fn release(ecosystem: &str) -> &str {
    ecosystem.split_once(':').map_or("", |(_, release)| release)
}
