//! From an image in a registry to a report, without network: a registry on loopback with a sample image, three sample
//! advisories, one scan, and the table.
//!
//! `cargo run --release --example quickstart`

use std::fs;
use std::io;

use tidewaiter::advisory::import::{ImportOptions, import};
use tidewaiter::conformance::image::{ImageBuilder, Layer};
use tidewaiter::conformance::registry::TestRegistry;
use tidewaiter::{Advisories, Context, Scanner, blocking, format};

const OS_RELEASE: &str = r#"PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
ID=debian
VERSION_ID="12"
"#;

const DPKG_STATUS: &str = "\
Package: libssl3
Status: install ok installed
Architecture: amd64
Source: openssl
Version: 3.0.15-1~deb12u1

Package: zlib1g
Status: install ok installed
Architecture: amd64
Source: zlib
Version: 1:1.2.13.dfsg-1
";

/// Made up, in the form of osv.dev.
const ADVISORIES: [(&str, &str); 3] = [
    (
        "DEBIAN-CVE-2099-0001.json",
        r#"{"schema_version": "1.7.0", "id": "DEBIAN-CVE-2099-0001", "modified": "2026-11-01T00:00:00Z", "upstream": ["CVE-2099-0001"],
            "affected": [{"package": {"ecosystem": "Debian:12", "name": "openssl"},
                          "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.16-1~deb12u1"}]}]}]}"#,
    ),
    (
        "PYSEC-2099-2.json",
        r#"{"schema_version": "1.7.0", "id": "PYSEC-2099-2", "modified": "2026-11-02T00:00:00Z", "aliases": ["CVE-2099-0002"],
            "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
            "affected": [{"package": {"ecosystem": "PyPI", "name": "requests"},
                          "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2.0"}, {"fixed": "2.32.0"}]}]}]}"#,
    ),
    (
        "GHSA-2099-2099-2099.json",
        r#"{"schema_version": "1.7.0", "id": "GHSA-2099-2099-2099", "modified": "2026-11-03T00:00:00Z", "aliases": ["CVE-2099-0003"],
            "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L"}],
            "affected": [{"package": {"ecosystem": "npm", "name": "lodash"},
                          "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "4.17.21"}]}]}]}"#,
    ),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A registry with one image: a base, an application, and a layer that takes a package away again.
    let registry = TestRegistry::start()?;
    let base = Layer::new().file("etc/os-release", OS_RELEASE).file("var/lib/dpkg/status", DPKG_STATUS);
    let site = "usr/local/lib/python3.12/site-packages";
    let app = Layer::new()
        .file(
            &format!("{site}/requests-2.31.0.dist-info/METADATA"),
            "Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\n",
        )
        .file("srv/app/node_modules/lodash/package.json", r#"{"name": "lodash", "version": "4.17.20"}"#)
        .file("srv/app/node_modules/left-pad/package.json", r#"{"name": "left-pad", "version": "1.3.0"}"#);
    let cleaned = Layer::new().whiteout("srv/app/node_modules/left-pad");
    registry.push("team/app", "1.0", &ImageBuilder::new().layer(base).layer(app).layer(cleaned).build());

    // A database of a few advisories: real ones come from `tidewaiter advisories update`.
    let directory = tempfile::tempdir()?;
    let records = directory.path().join("records");
    fs::create_dir(&records)?;
    for (name, record) in ADVISORIES {
        fs::write(records.join(name), record)?;
    }
    let database = directory.path().join("advisories.db");
    import(&[records], &database, &ImportOptions::new("2026-11-24T00:00:00Z"), &Context::new())?;

    let scanner = blocking::Scanner::new(Scanner::builder().advisories(Advisories::open(&database)?))?;
    let report = scanner.scan(&format!("http://{}/team/app:1.0", registry.host()))?;
    format::table::FORMAT.write(&[report], &mut io::stdout())?;
    Ok(())
}
