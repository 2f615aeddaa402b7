//! OSV ecosystems: a name and, behind a colon, a release (`Debian:12`, `Alpine:v3.20`).

use super::package::PackageType;

/// The name of an ecosystem without its release: `Debian` of `Debian:12`.
pub fn base(ecosystem: &str) -> &str {
    ecosystem.split_once(':').map_or(ecosystem, |(base, _)| base)
}

/// The release of an ecosystem, empty where there is none: `12` of `Debian:12`.
pub fn release(ecosystem: &str) -> &str {
    ecosystem.split_once(':').map_or("", |(_, release)| release)
}

/// The ecosystems of distributions, whose packages are matched by source and release, and the kinds of their packages: those of
/// another kind, such as a dpkg beside Alpine's apk, come from somewhere else.
const DISTRIBUTIONS: &[(&str, &[PackageType])] = &[
    ("Alpaquita", &[PackageType::Apk]),
    ("AlmaLinux", &[PackageType::Rpm]),
    ("Alpine", &[PackageType::Apk]),
    ("Azure Linux", &[PackageType::Rpm]),
    ("BellSoft Hardened Containers", &[PackageType::Apk]),
    ("Chainguard", &[PackageType::Apk]),
    ("CleanStart", &[PackageType::Apk, PackageType::Deb, PackageType::Rpm]),
    ("Debian", &[PackageType::Deb]),
    ("Docker Hardened Images", &[PackageType::Apk, PackageType::Deb]),
    ("Echo", &[PackageType::Deb]),
    ("Mageia", &[PackageType::Rpm]),
    ("MinimOS", &[PackageType::Apk]),
    ("openEuler", &[PackageType::Rpm]),
    ("openSUSE", &[PackageType::Rpm]),
    ("Photon OS", &[PackageType::Rpm]),
    ("Red Hat", &[PackageType::Rpm]),
    ("Rocky Linux", &[PackageType::Rpm]),
    ("SUSE", &[PackageType::Rpm]),
    ("TuxCare", &[PackageType::Deb, PackageType::Rpm]),
    ("Ubuntu", &[PackageType::Deb]),
    ("Wolfi", &[PackageType::Apk]),
];

/// Whether an ecosystem, with or without release, is that of a distribution.
pub fn is_distribution(ecosystem: &str) -> bool {
    DISTRIBUTIONS.iter().any(|(name, _)| *name == base(ecosystem))
}

/// Whether packages of `kind` may belong to the ecosystem of a distribution, with or without release.
pub fn has_kind(ecosystem: &str, kind: PackageType) -> bool {
    DISTRIBUTIONS.iter().any(|(name, kinds)| *name == base(ecosystem) && kinds.contains(&kind))
}
