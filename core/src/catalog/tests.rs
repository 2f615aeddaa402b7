//! What the catalogers find in small images, as tables.

use crate::conformance::cataloger::{Outcome, Sample, suite};

/// Every package on a line: type, name, version, and what else is known.
fn rows(outcome: &Outcome) -> Vec<String> {
    let row = |package: crate::model::inventory::Package<'_>| {
        let mut row = format!("{} {} {}", package.kind(), package.name(), package.version());
        if let Some(source) = package.source().filter(|source| *source != (package.name(), package.version())) {
            row.push_str(&format!(" from {} {}", source.0, source.1));
        }
        if let Some(owner) = package.owner() {
            row.push_str(&format!(" of {}", owner.name()));
        }
        let licenses: Vec<_> = package.licenses().collect();
        if !licenses.is_empty() {
            row.push_str(&format!(" [{}]", licenses.join(", ")));
        }
        row
    };
    outcome.inventory.packages().map(row).collect()
}

fn kinds(outcome: &Outcome) -> Vec<&'static str> {
    outcome.problems.iter().map(|problem| problem.kind.as_str()).collect()
}

#[test]
fn every_cataloger_passes_the_suite() {
    let status = "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\nSource: b (2)\n\n";
    let installed = "P:a\nV:1\nA:x86_64\no:b\nL:MIT\nF:usr\nR:x\n\n";
    for cataloger in super::ALL {
        let samples: &[(&str, &[u8])] = match cataloger.id() {
            "os-release" => &[
                ("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\n"),
                ("etc/alpine-release", b"3.20.1\n"),
                ("etc/debian_version", b"12.4\n"),
                ("etc/lsb-release", b"DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\n"),
                ("etc/apk/repositories", b"https://dl-cdn.alpinelinux.org/alpine/v3.20/main\n"),
            ],
            "dpkg" => &[
                ("var/lib/dpkg/status", status.as_bytes()),
                ("var/lib/dpkg/status.d/a", b"Package: a\nVersion: 1\n"),
                ("var/lib/dpkg/info/a.list", b"/.\n/usr\n/usr/x\n"),
                ("var/lib/dpkg/info/a.md5sums", b"07d31e7e63800ab1b7966980709c51eb  usr/x\n"),
            ],
            "apk" => &[("lib/apk/db/installed", installed.as_bytes())],
            "pacman" => &[
                ("var/lib/pacman/local/a-1-1/desc", b"%NAME%\na\n\n%VERSION%\n1-1\n\n%LICENSE%\nMIT\nBSD\n"),
                ("var/lib/pacman/local/a-1-1/files", b"%FILES%\nusr/\nusr/x\n\n%BACKUP%\netc/x\n"),
            ],
            "python" => &[("a/x-1.dist-info/METADATA", b"Name: x\nVersion: 1\nLicense: MIT\n\nbody")],
            "node" => {
                &[("node_modules/x/package.json", br#"{"name": "x", "version": "1", "license": {"type": "MIT"}}"#)]
            }
            "ruby" => &[(
                "x/specifications/a-1.gemspec",
                b"Gem::Specification.new do |s|\n  s.name = \"a\".freeze\n  s.version = \"1\"\nend\n",
            )],
            "php" => &[(
                "vendor/composer/installed.json",
                br#"{"packages": [{"name": "a/b", "version": "1", "license": ["MIT"]}]}"#,
            )],
            "dotnet" => &[(
                "app/a.deps.json",
                br#"{"libraries": {"A.B/1.0.0": {"type": "package"}, "c/1": {"type": "project"}}}"#,
            )],
            "conda" => &[("opt/conda/conda-meta/a-1-0.json", br#"{"name": "a", "version": "1", "license": "MIT"}"#)],
            "r" => {
                &[("usr/lib/R/library/a/DESCRIPTION", b"Package: a\nVersion: 1.0-2\nLicense: GPL-2\nBuilt: R 4.2\n")]
            }
            "perl" => &[
                ("lib/.meta/A-B-1.0/install.json", br#"{"dist": "A-B-1.0", "name": "A::B"}"#),
                (
                    "app/cpanfile.snapshot",
                    b"# carton snapshot format: version 1.0\nDISTRIBUTIONS\n  A-B-v1.0\n    provides:\n      A::B 1\n",
                ),
            ],
            "lua" => &[("usr/lib/luarocks/rocks-5.3/a/1-1/a-1-1.rockspec", b"package = \"a\"\nversion = \"1-1\"\n")],
            "elixir" => &[("app/mix.lock", b"%{\n  \"a\": {:hex, :a, \"1.0.0\", \"x\", [:mix], [], \"hexpm\"},\n}\n")],
            "swift" => &[(
                "app/Package.resolved",
                br#"{"pins": [{"location": "https://x.org/a/b.git", "state": {"version": "1.0"}}]}"#,
            )],
            "dart" => &[(
                "app/pubspec.lock",
                b"packages:\n  a:\n    source: hosted\n    version: \"1.0.0\"\nsdks:\n  dart: x\n",
            )],
            // With what they make themselves, in their own tests.
            "java" | "executable" | "rpm" => continue,
            other => panic!("no samples for {other}"),
        };
        suite(*cataloger, samples);
    }
}

#[test]
fn names_the_distribution() {
    for (content, ecosystem) in [
        ("ID=debian\nVERSION_ID=\"12\"", "Debian:12"),
        ("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux trixie/sid\"", "Debian"),
        ("ID=ubuntu\nVERSION_ID=\"22.04\"", "Ubuntu:22.04:LTS"),
        ("ID=ubuntu\nVERSION_ID=\"23.04\"", "Ubuntu:23.04"),
        ("ID=ubuntu\nVERSION_ID='24.10'", "Ubuntu:24.10"),
        ("ID=alpine\nVERSION_ID=3.20.1", "Alpine:v3.20"),
        ("ID=alpine\nVERSION_ID=3.21.0_alpha20240807", "Alpine:edge"),
        ("ID=wolfi\nVERSION_ID=20230201", "Wolfi"),
        ("ID=chainguard\nVERSION_ID=20230214", "Chainguard"),
        ("ID=\"almalinux\"\nVERSION_ID=\"9.4\"", "AlmaLinux:9"),
        ("ID=\"rocky\"\nVERSION_ID=\"8.10\"", "Rocky Linux:8"),
        ("ID=\"rhel\"\nVERSION_ID=\"9.4\"", "Red Hat:enterprise_linux:9"),
        (
            "ID=sles\nVERSION_ID=15.5\nPRETTY_NAME=\"SUSE Linux Enterprise Server 15 SP5\"",
            "SUSE:Linux Enterprise Server 15 SP5",
        ),
        ("ID=\"opensuse-leap\"\nVERSION_ID=\"15.5\"\nPRETTY_NAME=\"openSUSE Leap 15.5\"", "openSUSE:Leap 15.5"),
        ("ID=\"sl-micro\"\nPRETTY_NAME=\"SUSE Linux Micro 6.0\"", "SUSE:Linux Micro 6.0"),
        ("ID=\"sle-micro\"\nPRETTY_NAME=\"SUSE Linux Enterprise Micro 5.5\"", "SUSE:Linux Enterprise Micro 5.5"),
        ("ID=\"opensuse-leap-micro\"\nPRETTY_NAME=\"openSUSE Leap Micro 5.5\"", "openSUSE:Leap Micro 5.5"),
        (
            "ID=\"opensuse-tumbleweed\"\nVERSION_ID=\"20260101\"\nPRETTY_NAME=\"openSUSE Tumbleweed\"",
            "openSUSE:Tumbleweed",
        ),
        (
            "ID=\"openEuler\"\nVERSION_ID=\"22.03\"\nPRETTY_NAME=\"openEuler 22.03 (LTS-SP3)\"",
            "openEuler:22.03-LTS-SP3",
        ),
        ("ID=\"openEuler\"\nVERSION_ID=\"24.03\"\nPRETTY_NAME=\"openEuler 24.03 (LTS)\"", "openEuler:24.03-LTS"),
        ("ID=mariner\nVERSION_ID=\"2.0.20220226\"", "Azure Linux:2"),
        ("ID=azurelinux\nVERSION_ID=\"3.0\"", "Azure Linux:3"),
        ("ID=photon\nVERSION_ID=5.0", "Photon OS:5.0"),
        ("ID=mageia\nVERSION_ID=9", "Mageia:9"),
        ("ID=alpaquita\nVERSION_ID=stream", "Alpaquita:stream"),
        ("ID=bellsoft-hardened-containers\nVERSION_ID=23", "BellSoft Hardened Containers:23"),
        ("ID=debian\nVERSION_ID=6.0.10", "Debian:6.0"),
        ("ID=echo\nVERSION_ID=1", "Echo"),
        ("ID=amzn\nVERSION_ID=2023", "none"),
        ("# a comment\nID=\"de\\\"bian\"", "none"),
        ("ID=fedora\nVERSION_ID=40", "none"),
        ("NAME=something", "none"),
    ] {
        let outcome = Sample::new().file(0, "etc/os-release", content).run_all();
        let distro = outcome.inventory.distro().unwrap();
        assert_eq!(distro.ecosystem.as_deref().unwrap_or("none"), ecosystem, "{content}");
    }
}

#[test]
fn the_first_file_names_the_distribution() {
    let name = |sample: Sample| {
        let outcome = sample.run_all();
        outcome
            .inventory
            .distro()
            .map(|distro| format!("{} {} {:?}", distro.id, distro.version, distro.ecosystem.as_deref()))
    };
    let os_release = "ID=debian\nVERSION_ID=12\n";
    let linked =
        Sample::new().file(0, "usr/lib/os-release", os_release).link(0, "etc/os-release", "../usr/lib/os-release");
    assert_eq!(name(linked).unwrap(), "debian 12 Some(\"Debian:12\")");
    let both = Sample::new().file(0, "usr/lib/os-release", os_release).file(1, "etc/os-release", "ID=acme");
    assert_eq!(name(both).unwrap(), "acme  None");
    let old = Sample::new().file(0, "etc/debian_version", "7.11\n");
    assert_eq!(name(old).unwrap(), "debian 7.11 Some(\"Debian:7\")");
    let edge = Sample::new().file(0, "etc/os-release", "ID=alpine\nVERSION_ID=3.20.0").file(
        0,
        "etc/apk/repositories",
        "#comment\n@testing https://x/alpine/edge/testing\nhttps://x/alpine/edge/main\n",
    );
    assert_eq!(name(edge).unwrap(), "alpine 3.20.0 Some(\"Alpine:edge\")");
    let red_hat = "Red Hat Enterprise Linux Server release 6.10 (Santiago)\n";
    let old = Sample::new().file(0, "etc/redhat-release", red_hat).link(0, "etc/system-release", "redhat-release");
    assert_eq!(name(old).unwrap(), "rhel 6.10 Some(\"Red Hat:enterprise_linux:6\")");
    let oracle = Sample::new().file(0, "etc/redhat-release", red_hat).file(
        0,
        "etc/oracle-release",
        "Oracle Linux Server release 6.10\n",
    );
    assert_eq!(name(oracle).unwrap(), "ol 6.10 None");
    let centos = Sample::new().file(0, "etc/centos-release", "CentOS release 5.11 (Final)\n");
    assert_eq!(name(centos).unwrap(), "centos 5.11 None");
    assert_eq!(name(Sample::new().file(0, "etc/system-release", "something else\n")), None);
    assert_eq!(name(Sample::new()), None);
}

#[test]
fn nonsense_in_os_release_is_a_problem() {
    let mut long = b"ID=debian\nNAME=".to_vec();
    long.resize(16 << 20, b'x');
    for (content, problems) in [
        (vec![0xff, 0xfe, 0, 1, 2, 3], vec!["corrupt"]),
        (b"<html>".to_vec(), vec!["corrupt"]),
        (long, vec!["limit-exceeded"]),
        (Vec::new(), vec![]),
    ] {
        let outcome = Sample::new().file(0, "etc/os-release", content).run_all();
        assert_eq!(kinds(&outcome), problems);
    }
}

#[test]
fn dpkg_lists_what_is_on_the_disk() {
    for (status, is_listed) in [
        ("install ok installed", true),
        ("hold ok installed", true),
        ("deinstall reinstreq installed", true),
        ("install ok triggers-pending", true),
        ("install ok half-configured", true),
        ("install ok unpacked", true),
        ("install reinstreq half-installed", false),
        ("deinstall ok config-files", false),
        ("purge ok not-installed", false),
        ("nonsense", false),
    ] {
        let record = format!("Package: a\nStatus: {status}\nVersion: 1\n");
        let outcome = Sample::new().file(0, "var/lib/dpkg/status", record).run_all();
        assert_eq!(outcome.inventory.len(), usize::from(is_listed), "{status}");
    }
}

#[test]
fn dpkg_sources_and_owners() {
    let status = "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\nVersion: 3.0-1\n\n\
        Package: bash\nStatus: install ok installed\nSource: bash (5.2-2)\nVersion: 5.2-2+b1\nDescription: a shell\n Version: 9\n\n\
        package: python3-six\nstatus: install ok installed\nversion: 1.16-4\n\n\
        Package: broken\nStatus: install ok installed\n";
    let outcome = Sample::new()
        .link(0, "lib", "usr/lib")
        .file(0, "var/lib/dpkg/status", status)
        .file(0, "var/lib/dpkg/info/python3-six.list", "/.\n/lib/python3/dist-packages/six-1.16.egg-info/PKG-INFO\n")
        .file(0, "usr/lib/python3/dist-packages/six-1.16.egg-info/PKG-INFO", "Name: six\nVersion: 1.16\n")
        .file(
            1,
            "usr/local/lib/python3/six-1.17.dist-info/METADATA",
            "Name: six\nVersion: 1.17\nLicense-Expression: MIT\n",
        )
        .run_all();
    assert_eq!(
        rows(&outcome),
        [
            "deb bash 5.2-2+b1 from bash 5.2-2",
            "deb libssl3 3.0-1 from openssl 3.0-1",
            "deb python3-six 1.16-4",
            "pypi six 1.16 of python3-six",
            "pypi six 1.17 [MIT]",
        ]
    );
    assert_eq!(kinds(&outcome), ["corrupt"]);
}

#[test]
fn dpkg_of_images_without_dpkg() {
    let outcome = Sample::new()
        .file(0, "var/lib/dpkg/status.d/six", "Package: python3-six\nVersion: 1.16-4\n")
        .file(0, "var/lib/dpkg/status.d/six.md5sums", "07d31e7e63800ab1b7966980709c51eb  usr/lib/six.egg-info\n")
        .file(0, "var/lib/dpkg/status.d/gone", "Package: gone\nVersion: 1\nStatus: deinstall ok config-files\n")
        .file(0, "usr/lib/six.egg-info", "Name: six\nVersion: 1.16\n")
        .run_all();
    assert_eq!(rows(&outcome), ["deb python3-six 1.16-4", "pypi six 1.16 of python3-six"]);
    assert_eq!(kinds(&outcome), [""; 0]);
}

#[test]
fn apk_origins_and_owners() {
    let installed = "C:Q1\nP:py3-six\nV:1.16-r9\nA:noarch\nL:MIT\no:six\nF:usr\nF:usr/lib/six.dist-info\nR:METADATA\na:0:0:755\n\n\
        P:musl\nV:1.2-r0\n\nP:none\n\nnonsense\n";
    let outcome = Sample::new()
        .file(0, "lib/apk/db/installed", installed)
        .file(0, "usr/lib/six.dist-info/METADATA", "Name: six\nVersion: 1.16\n")
        .run_all();
    assert_eq!(
        rows(&outcome),
        ["apk musl 1.2-r0", "apk py3-six 1.16-r9 from six 1.16-r9 [MIT]", "pypi six 1.16 of py3-six"]
    );
    assert_eq!(kinds(&outcome), ["corrupt", "corrupt"]);
}

#[test]
fn python_names_what_pip_names() {
    for (path, content, row) in [
        ("a/X_y-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: X_y\nVersion: 1\n\nName: z\n", "pypi X_y 1"),
        ("a/x-1.egg-info", "Name: x\r\nVersion: 1\r\nLicense: UNKNOWN\r\n", "pypi x 1"),
        ("a/x.egg-info/PKG-INFO", "name: x\nversion: 1\nLicense: BSD\n", "pypi x 1 [BSD]"),
        (
            "a/x-1.egg/EGG-INFO/PKG-INFO",
            "Name: x\nVersion: 1\nClassifier: License :: OSI Approved :: MIT License\n",
            "pypi x 1 [MIT License]",
        ),
        ("setuptools/_vendor/x-1.dist-info/METADATA", "Name: x\nVersion: 1\n", ""),
        ("a/~x-1.dist-info/METADATA", "Name: x\nVersion: 1\n", ""),
        ("usr/lib/python2.7/Python-2.7.egg-info", "Name: Python\nVersion: 2.7\n", ""),
        ("a/x-1.dist-info/METADATA", "Name: -x\nVersion: 1\n", ""),
        ("a/x-1.dist-info/METADATA", "Name: x\n\nVersion: 1\n", ""),
    ] {
        assert_eq!(rows(&Sample::new().file(0, path, content).run_all()).join("\n"), row, "{path}: {content}");
    }
}

#[test]
fn node_reads_what_javascript_would() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let skipped = format!(r#"{{"name": "x", "version": "1", "deep": {deep}}}"#);
    let looked_at = format!(r#"{{"name": "x", "version": "1", "license": {deep}}}"#);
    for (content, found) in [
        (r#"{"name": "x", "version": "1"}"#, "npm x 1"),
        ("\u{feff}{\"name\": \"@a/x\", \"version\": \"1\"}", "npm @a/x 1"),
        (r#"{"name": "y", "version": "1", "name": "x"}"#, "npm x 1"),
        (r#"{"name": "x", "version": "1", "license": {"type": "MIT", "url": "u"}}"#, "npm x 1 [MIT]"),
        (r#"{"name": "x", "version": "1", "licenses": [{"type": "MIT"}, "BSD", 7, ["X"]]}"#, "npm x 1 [MIT, BSD]"),
        (r#"{"name": "x", "version": "1", "license": false, "main": null}"#, "npm x 1"),
        (r#"{"name": {"type": "x"}, "version": "1"}"#, ""),
        (r#"{"name": "x", "version": 1}"#, ""),
        (r#"{"type": "module"}"#, ""),
        ("{", "malformed"),
        ("[]", "malformed"),
        (&skipped, "npm x 1"),
        (&looked_at, "npm x 1"),
    ] {
        let outcome = Sample::new().file(0, "app/node_modules/x/package.json", content).run_all();
        let all: Vec<_> = rows(&outcome).into_iter().chain(kinds(&outcome).into_iter().map(str::to_owned)).collect();
        assert_eq!(all.join("\n"), found, "{:.80}", content);
    }
    let outside = Sample::new().file(0, "app/package.json", r#"{"name": "x", "version": "1"}"#).run_all();
    assert!(outside.inventory.is_empty());
}

#[test]
fn pacman_bases_and_owners() {
    let desc = "%NAME%\npython-six\n\n%VERSION%\n1.16-1\n\n%BASE%\nsix\n\n%ARCH%\nany\n\n%LICENSE%\nMIT\n\n%DEPENDS%\npython\n";
    let outcome = Sample::new()
        .file(0, "var/lib/pacman/local/ALPM_DB_VERSION", "9\n")
        .file(0, "var/lib/pacman/local/python-six-1.16-1/desc", desc)
        .file(0, "var/lib/pacman/local/python-six-1.16-1/files", "%FILES%\nusr/\nusr/lib/six.dist-info/METADATA\n")
        .file(0, "usr/lib/six.dist-info/METADATA", "Name: six\nVersion: 1.16\n")
        .file(0, "var/lib/pacman/local/broken/desc", "%VERSION%\n1\n")
        .run_all();
    assert_eq!(rows(&outcome), ["alpm python-six 1.16-1 from six 1.16-1 [MIT]", "pypi six 1.16 of python-six"]);
    assert_eq!(kinds(&outcome), ["malformed"]);
}

#[test]
fn languages_say_what_is_installed() {
    for (path, content, found) in [
        (
            "usr/lib/ruby/gems/3.1.0/specifications/default/rake-13.0.6.gemspec",
            "# -*- encoding: utf-8 -*-\n# stub: rake 13.0.6 ruby lib\n\nGem::Specification.new do |s|\n  s.name = \"rake\".freeze\n\
             s.version = \"13.0.6\"\n  s.licenses = [\"MIT\".freeze, \"Ruby\".freeze]\n  s.add_runtime_dependency(\"x\")\nend\n",
            "gem rake 13.0.6 [MIT, Ruby]",
        ),
        ("usr/lib/ruby/specifications/a-1.gemspec", "nothing", "malformed"),
        ("x/luarocks/rocks-5.1/a/1/a.rockspec", "nothing", "malformed"),
        ("app/a.deps.json", "", "malformed"),
        ("vendor/composer/installed.json", "<html>", "malformed"),
        ("app/Package.resolved", "", "malformed"),
        ("lib/.meta/A-1/install.json", "", "malformed"),
        ("app/Package.resolved", r#"{"object": null, "pins": []}"#, ""),
        ("vendor/composer/installed.json", r#"{"packages": [{"name": "a", "version": "1"}]}"#, ""),
        (
            "app/vendor/composer/installed.json",
            r#"[{"name": "a/b", "version": "v1.2.0", "license": "MIT"}]"#,
            "composer a/b v1.2.0 [MIT]",
        ),
        ("app/vendor/composer/installed.json", r#"{"packages": [{"name": "a/b", "version": 1}], "dev": true}"#, ""),
        (
            "app/a.deps.json",
            r#"{"libraries": {"app/1.0": {"type": "project"}, "A.B/1.0": {"type": "package"},
               "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/6.0.1": {"type": "runtimepack"}}}"#,
            "nuget A.B 1.0\nnuget Microsoft.NETCore.App.Runtime.linux-x64 6.0.1",
        ),
        (
            "opt/conda/conda-meta/a.json",
            r#"{"name": "a", "version": "1", "license": "BSD", "files": ["x"]}"#,
            "conda a 1 [BSD]",
        ),
        ("opt/conda/conda-meta/a.json", "{", "malformed"),
        ("usr/lib/R/site-library/a/DESCRIPTION", "Package: a\nVersion: 1.0-2\n", ""),
        (
            "usr/lib/R/library/a/DESCRIPTION",
            "Package: a\nVersion: 1.0-2\nLicense: GPL-2\nBuilt: R 4.2\n",
            "cran a 1.0-2 [GPL-2]",
        ),
        (
            "usr/local/share/lua/lib/luarocks/rocks-5.1/socket/3.0rc1-2/socket-3.0rc1-2.rockspec",
            "package = 'socket'\nversion = \"3.0rc1-2\"\ndescription = {\n  license = \"MIT\"\n}\n",
            "luarocks socket 3.0rc1-2 [MIT]",
        ),
        ("x/luarocks/rocks-5.1/a-b/1.0-1/a-b-1.0-1.rockspec", "version = v .. r", "luarocks a-b 1.0-1"),
        (
            "app/mix.lock",
            "%{\n  \"jason\": {:hex, :jason, \"1.4.0\", \"e8\", [:mix], [{:decimal, \"~> 1.0\"}], \"hexpm\"},\n\
               \"own\": {:git, \"https://x\", \"abc\", []},\n\
               \"ours\": {:hex, :ours, \"1.0.0\", \"e8\", [:mix], [{:a, \"~> 1.0\", [hex: :a, repo: \"hexpm\"]}], \"hexpm:acme\", \"x\"},\n\
               \"old\": {:hex, :old, \"1.0.0\"},\n}\n",
            "hex jason 1.4.0\nhex old 1.0.0",
        ),
        (
            "app/Package.resolved",
            r#"{"object": {"pins": [{"repositoryURL": "git@github.com:apple/swift-nio.git", "state": {"version": "2.1.0", "branch": null}},
               {"repositoryURL": "https://x.org/b", "state": {"branch": "main"}}]}, "version": 1}"#,
            "swift github.com/apple/swift-nio 2.1.0",
        ),
        (
            "app/pubspec.lock",
            "packages:\n  async:\n    dependency: transitive\n    description:\n      name: async\n      version: \"9\"\n    source: hosted\n\
             \u{20}   version: \"2.10.0\"\n  ours:\n    description:\n      name: ours\n      url: \"https://dart.acme.io\"\n    source: hosted\n\
             \u{20}   version: \"1.0.0\"\n  http:\n    description:\n      url: \"https://pub.dev\"\n    source: hosted\n    version: \"1.1.0\"\n\
             \u{20} fork:\n    description:\n      url: \"https://x/y.git\"\n    source: git\n    version: \"1.0.0\"\n  flutter:\n    source: sdk\n    version: \"0.0.0\"\nsdks:\n  dart: \">=2.18\"\n",
            "pub async 2.10.0\npub http 1.1.0",
        ),
        (
            "app/cpanfile.snapshot",
            "DISTRIBUTIONS\n  HTTP-Message-6.44\n    provides:\n      HTTP::Message 6.44\n  version-v0.9.1\n",
            "cpan HTTP-Message 6.44\ncpan version v0.9.1",
        ),
        ("lib/.meta/Try-Tiny-0.31/install.json", r#"{"dist": "Try-Tiny-0.31"}"#, "cpan Try-Tiny 0.31"),
        ("usr/lib/opkg/status", "Package: a\nVersion: 1\nStatus: install user installed\n\n", "deb a 1"),
    ] {
        let outcome = Sample::new().file(0, path, content).run_all();
        let all: Vec<_> = rows(&outcome).into_iter().chain(kinds(&outcome).into_iter().map(str::to_owned)).collect();
        assert_eq!(all.join("\n"), found, "{path}: {content}");
    }
}

#[test]
fn large_files_of_languages_are_bounded() {
    // A specification of 100 MB: one line, and a million lines.
    let head = b"  s.name = \"a\"\n  s.version = \"1\"\n".to_vec();
    for filler in ["x".repeat(100), format!("{}\n", "x".repeat(99))] {
        let gemspec = [head.clone(), filler.repeat(1 << 20).into_bytes()].concat();
        let outcome = Sample::new().file(0, "x/specifications/a-1.gemspec", &gemspec).run_all();
        assert_eq!((rows(&outcome), kinds(&outcome)), (vec!["gem a 1".to_owned()], vec![]));
        if !filler.ends_with('\n') {
            continue;
        }
        // What comes behind a million lines is not looked at, and that is told.
        let late = [&gemspec[head.len()..], &head].concat();
        let outcome = Sample::new().file(0, "x/specifications/a-1.gemspec", late).run_all();
        assert_eq!(rows(&outcome), [""; 0]);
        assert_eq!(outcome.problems[0].path.as_deref(), Some("x/specifications/a-1.gemspec"));
    }
    let many = format!(r#"{{"packages": [{}{{}}]}}"#, r#"{"name": "a/b", "version": "1"},"#.repeat(30_000));
    let outcome = Sample::new().file(0, "vendor/composer/installed.json", many).run_all();
    assert_eq!((rows(&outcome).len(), kinds(&outcome)), (1, vec!["limit-exceeded"]));
}

#[test]
fn json_ten_thousand_levels_deep_is_read_or_told() {
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
    let (lists, objects) = (deep("[", "]"), deep(r#"{"a": "#, "}"));
    for (path, document, found) in [
        ("node_modules/a/package.json", r#"{"name": "a", "version": "1", "x": DEEP}"#, 1),
        ("node_modules/a/package.json", r#"{"name": "a", "version": "1", "licenses": [DEEP]}"#, 1),
        ("node_modules/a/package.json", r#"{"name": DEEP, "version": "1"}"#, 0),
        (
            "vendor/composer/installed.json",
            r#"{"x": DEEP, "packages": [{"name": "a/a", "version": "1", "y": DEEP}]}"#,
            1,
        ),
        ("vendor/composer/installed.json", r#"{"packages": DEEP}"#, 0),
        ("app/a.deps.json", r#"{"targets": DEEP, "libraries": {"A/1": {"type": "package", "x": DEEP}}}"#, 1),
        ("app/a.deps.json", r#"{"libraries": DEEP}"#, 0),
        ("conda-meta/a.json", r#"{"name": "a", "version": "1", "files": DEEP}"#, 1),
        ("conda-meta/a.json", r#"{"name": "a", "version": DEEP}"#, 0),
        ("lib/.meta/A-1/install.json", r#"{"dist": "A-1", "provides": DEEP}"#, 1),
        ("lib/.meta/A-1/install.json", r#"{"dist": DEEP}"#, 0),
        (
            "app/Package.resolved",
            r#"{"x": DEEP, "pins": [{"location": "https://x.org/a/b.git", "state": {"version": "1", "y": DEEP}}]}"#,
            1,
        ),
        ("app/Package.resolved", r#"{"pins": [DEEP]}"#, 0),
    ] {
        for nested in [&lists, &objects] {
            let outcome = Sample::new().file(0, path, document.replace("DEEP", nested)).run_all();
            assert_eq!(rows(&outcome).len(), found, "{path}: {document}: {:?}", outcome.problems);
            assert!(outcome.problems.iter().all(|problem| problem.path.as_deref() == Some(path)), "{document}");
        }
        // Cut in the middle of it: told, and nothing is found that is not there.
        let cut = document.split("DEEP").next().unwrap().to_owned() + &"[".repeat(10_000);
        let outcome = Sample::new().file(0, path, cut).run_all();
        assert_eq!((rows(&outcome).len(), kinds(&outcome).len()), (0, 1), "{path}: {document}");
    }
}

#[test]
fn names_of_files_are_shown_and_never_followed() {
    let package = r#"{"name": "a", "version": "1"}"#;
    for (path, shown) in [
        ("../../node_modules/a/package.json", "node_modules/a/package.json"),
        ("/a/../../node_modules/a/package.json", "node_modules/a/package.json"),
        ("b\tc/node_modules/a/package.json", "b\\x09c/node_modules/a/package.json"),
        ("b\u{202e}c/node_modules/a/package.json", "b\u{202e}c/node_modules/a/package.json"),
    ] {
        let outcome = Sample::new().file(0, path, package).run_all();
        let found = outcome
            .inventory
            .packages()
            .flat_map(|package| package.locations().map(|location| location.path.to_owned()).collect::<Vec<_>>());
        assert_eq!(found.collect::<Vec<_>>(), [shown]);
    }
    // A NUL ends a name in a tar.
    let outcome = Sample::new().file(0, "node_modules/a/package.json\0/x", package).run_all();
    assert_eq!(rows(&outcome), ["npm a 1"]);
}

#[test]
fn a_package_comes_from_the_layer_that_brought_it() {
    let dpkg = |packages: &[(&str, &str)]| -> String {
        let record = |(name, version): &(&str, &str)| {
            format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\n\n")
        };
        packages.iter().map(record).collect()
    };
    let apk = |names: &[&str]| names.iter().map(|name| format!("P:{name}\nV:1\n\n")).collect::<String>();
    let layers = |sample: Sample| -> Vec<String> {
        let outcome = sample.run_all();
        let row = |package: crate::model::inventory::Package<'_>| {
            let layers: Vec<_> = package.locations().map(|location| location.layer.to_string()).collect();
            format!("{} {} {}", package.name(), package.version(), layers.join(" "))
        };
        outcome.inventory.packages().map(row).collect()
    };
    let status = "var/lib/dpkg/status";
    let grown = Sample::new()
        .file(0, status, dpkg(&[("base", "1"), ("tool", "1"), ("back", "1")]))
        .file(2, status, dpkg(&[("base", "1"), ("tool", "2")]))
        .file(3, status, dpkg(&[("base", "1"), ("tool", "2"), ("back", "1"), ("curl", "1")]))
        .file(4, "etc/hostname", "x");
    assert_eq!(layers(grown), ["back 1 3", "base 1 0", "curl 1 3", "tool 2 2"]);
    let made_anew = Sample::new()
        .file(0, status, dpkg(&[("base", "1")]))
        .file(1, "var/lib/.wh.dpkg", "")
        .file(2, status, dpkg(&[("base", "1")]))
        .file(3, status, dpkg(&[("base", "1")]));
    assert_eq!(layers(made_anew), ["base 1 2"]);
    let installed = "lib/apk/db/installed";
    let alpine = Sample::new().file(0, installed, apk(&["musl"])).file(1, installed, apk(&["musl", "curl"]));
    assert_eq!(layers(alpine), ["curl 1 1", "musl 1 0"]);
    // As `chown -R` leaves it.
    let (path, package) = ("app/node_modules/a/package.json", r#"{"name": "a", "version": "1"}"#);
    assert_eq!(layers(Sample::new().file(0, path, package).file(1, path, package)), ["a 1 0"]);
    assert_eq!(
        layers(Sample::new().file(0, path, r#"{"name": "b", "version": "1"}"#).file(1, path, package)),
        ["a 1 1"]
    );
}
