//! Package URLs (package-url/purl-spec), derived from a package.

use packageurl::PackageUrl;

use super::inventory::Package;
use super::package::PackageType;

/// The package URL of `package`: namespace and qualifiers as the definition of its type says.
pub(super) fn of(package: &Package<'_>) -> String {
    let escaped = |text: &str| text.bytes().map(escaped).collect::<String>();
    build(package).unwrap_or_else(|_| {
        format!("pkg:{}/{}@{}", package.kind(), escaped(package.name()), escaped(package.version()))
    })
}

/// A byte of a name that is none, so that what stands in it is no part of the package URL.
fn escaped(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

fn build(package: &Package<'_>) -> Result<String, packageurl::Error> {
    let (name, version) = (package.name(), package.version());
    // A package that is of another family than the distribution does not come from it.
    let distro = package.distro().filter(|distro| distro.ecosystem.is_none() || package.ecosystem().is_some());
    let (namespace, name) = match package.kind() {
        PackageType::Npm | PackageType::Golang | PackageType::Composer | PackageType::Swift | PackageType::Hex => {
            name.rsplit_once('/').unwrap_or(("", name))
        }
        PackageType::Maven => name.split_once(':').unwrap_or(("", name)),
        kind if kind.is_os() => (distro.map_or(vendor(kind), |distro| namespace(&distro.id)), name),
        _ => ("", name),
    };
    let mut purl = PackageUrl::new(package.kind().as_str().to_owned(), name.to_owned())?;
    if !namespace.is_empty() {
        purl.with_namespace(namespace.to_owned())?;
    }
    // The epoch of rpm's `epoch:version-release` is a qualifier.
    let (epoch, version) = match package.kind() {
        PackageType::Rpm => version.split_once(':').unwrap_or(("", version)),
        _ => ("", version),
    };
    if !version.is_empty() {
        purl.with_version(version.to_owned())?;
    }
    if !epoch.is_empty() {
        purl.add_qualifier("epoch".to_owned(), epoch.to_owned())?;
    }
    if !package.architecture().is_empty() {
        purl.add_qualifier("arch".to_owned(), package.architecture().to_owned())?;
    }
    if let Some(distro) = distro.filter(|distro| package.kind().is_os() && !distro.id.is_empty()) {
        let release =
            if distro.version.is_empty() { distro.id.clone() } else { format!("{}-{}", distro.id, distro.version) };
        purl.add_qualifier("distro".to_owned(), release)?;
    }
    Ok(purl.to_string())
}

/// The namespace of a distribution's packages: the `ID` of its os-release, except where the distribution itself writes another.
pub(crate) fn namespace(id: &str) -> &str {
    match id {
        "rhel" => "redhat",
        "sl-micro" | "sle-micro" | "sle_hpc" | "sled" | "sles" | "sles_sap" | "suse-microos" => "suse",
        _ if id.starts_with("opensuse") => "opensuse",
        _ => id,
    }
}

/// The namespace where the image does not name its distribution.
fn vendor(kind: PackageType) -> &'static str {
    match kind {
        PackageType::Alpm => "arch",
        PackageType::Apk => "alpine",
        PackageType::Deb => "debian",
        PackageType::Rpm => "redhat",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use crate::model::distro::Distro;
    use crate::model::inventory::Draft;
    use crate::model::package::{PackageDraft, PackageType};

    fn purl(distro: &str, kind: PackageType, name: &str, version: &str) -> String {
        let mut draft = Draft::new(1);
        if !distro.is_empty() {
            draft.set_distro(Distro { id: distro.into(), version: "9".into(), ..Distro::default() });
        }
        draft.push(&PackageDraft::new(kind, name, version, "a", 0)).unwrap();
        draft.finish().package(0).unwrap().purl()
    }

    #[test]
    fn distributions_have_the_namespace_that_they_write() {
        for (distro, expected) in [
            ("rhel", "pkg:rpm/redhat/bash@5-1?distro=rhel-9"),
            ("opensuse-leap", "pkg:rpm/opensuse/bash@5-1?distro=opensuse-leap-9"),
            ("sles", "pkg:rpm/suse/bash@5-1?distro=sles-9"),
            ("rocky", "pkg:rpm/rocky/bash@5-1?distro=rocky-9"),
            ("", "pkg:rpm/redhat/bash@5-1"),
        ] {
            assert_eq!(purl(distro, PackageType::Rpm, "bash", "5-1"), expected);
        }
    }

    #[test]
    fn a_name_that_is_none_stays_one_name() {
        assert_eq!(purl("", PackageType::Npm, "/a//b/", "1@x"), "pkg:npm/%2Fa%2F%2Fb%2F@1%40x");
    }
}
