//! Targets: what a scan is pointed at, told apart by its prefix alone, so that a folder never hides an image's name.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Kind, Result};
use crate::model::reference::ImageRef;

/// What to scan.
///
/// ```
/// use tidewaiter::source::target::Target;
/// assert!(matches!("debian:12".parse()?, Target::Registry(_)));
/// assert!(matches!("oci:images/app".parse()?, Target::OciLayout(_)));
/// assert!(matches!("docker-archive:app.tar.gz".parse()?, Target::DockerArchive(_)));
/// # Ok::<(), tidewaiter::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// An image in a registry.
    Registry(ImageRef),
    /// A folder in the OCI image layout, `oci:DIR`; behind another colon may stand the name that the image has in it.
    OciLayout(PathBuf),
    /// A tar of such a folder, `oci-archive:FILE`, plain or in gzip or zstd.
    OciArchive(PathBuf),
    /// What `docker save` writes, `docker-archive:FILE`, plain or in gzip or zstd.
    DockerArchive(PathBuf),
    /// A file that lists the packages of an image, `sbom:FILE`: CycloneDX or SPDX, in JSON.
    Sbom(PathBuf),
    /// A bare path, written with `/`, `./` or `../` in front: a folder is an OCI layout, a file is told by its content.
    Path(PathBuf),
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let path = |rest: &str| match rest {
            "" => Err(Error::new(Kind::InvalidInput, "behind the colon a path is missing").with("image", text)),
            rest if rest.contains('\0') => {
                Err(Error::new(Kind::InvalidInput, "a path has no zero byte").with("image", text.escape_debug()))
            }
            rest => Ok(PathBuf::from(rest)),
        };
        match text.split_once(':') {
            Some(("oci", rest)) if !is_port_of(rest) => return path(rest).map(Self::OciLayout),
            Some(("oci-archive", rest)) => return path(rest).map(Self::OciArchive),
            Some(("docker-archive", rest)) => return path(rest).map(Self::DockerArchive),
            Some(("sbom", rest)) if !is_port_of(rest) => return path(rest).map(Self::Sbom),
            _ => {}
        }
        if ["/", "./", "../"].iter().any(|prefix| text.starts_with(prefix)) || matches!(text, "." | "..") {
            return path(text).map(Self::Path);
        }
        text.parse().map(Self::Registry)
    }
}

/// Whether `oci:` is a host with a port, as in `oci:5000/app`.
fn is_port_of(rest: &str) -> bool {
    rest.split_once('/').is_some_and(|(port, _)| port.parse::<u16>().is_ok())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(image) => image.fmt(f),
            Self::OciLayout(path) => write!(f, "oci:{}", path.display()),
            Self::OciArchive(path) => write!(f, "oci-archive:{}", path.display()),
            Self::DockerArchive(path) => write!(f, "docker-archive:{}", path.display()),
            Self::Sbom(path) => write!(f, "sbom:{}", path.display()),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_decides() {
        let cases: &[(&str, Target)] = &[
            ("oci:a/b", Target::OciLayout("a/b".into())),
            ("oci:a:v1", Target::OciLayout("a:v1".into())),
            ("oci-archive:a.tar", Target::OciArchive("a.tar".into())),
            ("docker-archive:./a.tar.gz", Target::DockerArchive("./a.tar.gz".into())),
            ("sbom:a.cdx.json", Target::Sbom("a.cdx.json".into())),
            ("sbom:5000/app", Target::Registry("sbom:5000/app".parse().unwrap())),
            ("./oci-archive:x", Target::Path("./oci-archive:x".into())),
            ("/srv/a", Target::Path("/srv/a".into())),
            ("../a", Target::Path("../a".into())),
            ("debian", Target::Registry("debian".parse().unwrap())),
            ("core", Target::Registry("core".parse().unwrap())),
            ("core/src", Target::Registry("core/src".parse().unwrap())),
            ("oci", Target::Registry("oci".parse().unwrap())),
            ("oci:5000/app", Target::Registry("oci:5000/app".parse().unwrap())),
        ];
        for (text, target) in cases {
            assert_eq!(text.parse::<Target>().unwrap(), *target, "{text}");
            assert_eq!(target.to_string().parse::<Target>().unwrap(), *target, "{text}");
        }
        for text in ["", "oci:", "oci-archive:", "docker-archive:", "sbom:"] {
            assert_eq!(text.parse::<Target>().unwrap_err().kind(), Kind::InvalidInput, "{text}");
        }
    }
}
