//! OSV ecosystems: a name and, behind a colon, a release (`Debian:12`, `Alpine:v3.20`).

/// The name of an ecosystem without its release: `Debian` of `Debian:12`.
pub fn base(ecosystem: &str) -> &str {
    ecosystem.split_once(':').map_or(ecosystem, |(base, _)| base)
}

/// The release of an ecosystem, empty where there is none: `12` of `Debian:12`.
pub fn release(ecosystem: &str) -> &str {
    ecosystem.split_once(':').map_or("", |(_, release)| release)
}

/// The ecosystems of distributions, whose packages are matched by source and release.
const DISTRIBUTIONS: &[&str] = &[
    "Alpaquita",
    "AlmaLinux",
    "Alpine",
    "Azure Linux",
    "BellSoft Hardened Containers",
    "Chainguard",
    "CleanStart",
    "Debian",
    "Docker Hardened Images",
    "Echo",
    "Mageia",
    "MinimOS",
    "openEuler",
    "openSUSE",
    "Photon OS",
    "Red Hat",
    "Rocky Linux",
    "SUSE",
    "TuxCare",
    "Ubuntu",
    "Wolfi",
];

/// Whether an ecosystem, with or without release, is that of a distribution.
pub fn is_distribution(ecosystem: &str) -> bool {
    DISTRIBUTIONS.contains(&base(ecosystem))
}
