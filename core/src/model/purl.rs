//! Package URLs (package-url/purl-spec), derived from a package.

use packageurl::PackageUrl;

use super::inventory::Package;
use super::package::PackageType;

/// The package URL of `package`: namespace and qualifiers as the definition of its type says.
pub(super) fn of(package: &Package<'_>) -> String {
    build(package).unwrap_or_else(|_| format!("pkg:{}/{}@{}", package.kind(), package.name(), package.version()))
}

fn build(package: &Package<'_>) -> Result<String, packageurl::Error> {
    let (name, version) = (package.name(), package.version());
    let (namespace, name) = match package.kind() {
        PackageType::Npm | PackageType::Golang | PackageType::Composer | PackageType::Swift | PackageType::Hex => {
            name.rsplit_once('/').unwrap_or(("", name))
        }
        PackageType::Maven => name.split_once(':').unwrap_or(("", name)),
        kind if kind.is_os() => (package.distro().map_or(vendor(kind), |distro| distro.id.as_str()), name),
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
    if let Some(distro) = package.distro().filter(|distro| package.kind().is_os() && !distro.id.is_empty()) {
        let release =
            if distro.version.is_empty() { distro.id.clone() } else { format!("{}-{}", distro.id, distro.version) };
        purl.add_qualifier("distro".to_owned(), release)?;
    }
    Ok(purl.to_string())
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
