//! Who a jar is: Maven's own metadata where it has them, else its manifest and its name.

use super::groups;
use crate::model::path::show;

/// The most bytes of a value.
const VALUE: usize = 256;
/// The most licences of a package.
const LICENSES: usize = 16;
/// How deep elements of a `pom.xml` may lie in one another.
const DEPTH: usize = 64;

/// Group, artifact and version, each empty where it is not known; the licences of a `pom.xml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Coordinates {
    pub(super) group: String,
    pub(super) artifact: String,
    pub(super) version: String,
    pub(super) licenses: Vec<String>,
}

impl Coordinates {
    pub(super) fn is_whole(&self) -> bool {
        !self.group.is_empty() && !self.artifact.is_empty() && !self.version.is_empty()
    }

    /// `pom.properties`: a Java properties file (`java.util.Properties`, "load").
    pub(super) fn of_properties(text: &[u8]) -> Self {
        let mut found = Self::default();
        for line in text.split(|byte| *byte == b'\n' || *byte == b'\r') {
            let line = line.trim_ascii();
            let Some(end) = line.iter().position(|byte| b"=: \t".contains(byte)) else { continue };
            let (key, rest) = line.split_at(end);
            let rest = rest.trim_ascii_start();
            let value = value(rest.strip_prefix(b"=").or_else(|| rest.strip_prefix(b":")).unwrap_or(rest));
            match key {
                b"groupId" => found.group = value,
                b"artifactId" => found.artifact = value,
                b"version" => found.version = value,
                _ => {}
            }
        }
        found
    }

    /// `pom.xml`: what a reader needs of it, without what a parent adds but group and version.
    pub(super) fn of_xml(text: &[u8]) -> Self {
        let (mut found, mut parent) = (Self::default(), Self::default());
        elements(text, |path, text| {
            let (pom, name) = match path {
                [b"project", name] => (&mut found, *name),
                [b"project", b"parent", name] => (&mut parent, *name),
                [b"project", b"licenses", b"license", b"name"] if found.licenses.len() < LICENSES => {
                    found.licenses.extend(Some(value(text)).filter(|license| !license.is_empty()));
                    return;
                }
                _ => return,
            };
            let field = match name {
                b"groupId" => &mut pom.group,
                b"artifactId" => &mut pom.artifact,
                b"version" => &mut pom.version,
                _ => return,
            };
            if field.is_empty() {
                *field = value(text);
            }
        });
        if found.group.is_empty() {
            found.group = parent.group;
        }
        if found.version.is_empty() {
            found.version = parent.version;
        }
        found
    }

    /// The name of a file, such as `guava-27.0-jre.jar`: what lies before the version, and the version. The version starts
    /// with the last part between hyphens that starts with a digit, and with those right before it that do.
    pub(super) fn of_file_name(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let is_number = |part: &str| part.starts_with(|first: char| first.is_ascii_digit());
        let parts: Vec<&str> = stem.split('-').collect();
        let last = parts.iter().rposition(|part| is_number(part)).filter(|last| *last > 0);
        let first = last.map(|last| {
            let before = parts.get(1..last).unwrap_or_default();
            last - before.iter().rev().take_while(|part| is_number(part)).count()
        });
        let (artifact, version) = match first.and_then(|first| parts.split_at_checked(first)) {
            Some((artifact, version)) => (artifact.join("-"), version.join("-")),
            None => (stem.to_owned(), String::new()),
        };
        Self { artifact: value(artifact.as_bytes()), version: value(version.as_bytes()), ..Self::default() }
    }
}

/// A value as it is kept: short, without blanks around it or control characters; empty where it is a variable of a build.
fn value(text: &[u8]) -> String {
    let text = text.trim_ascii();
    let is_usable = text.len() <= VALUE && !text.contains(&b'$') && !text.contains(&b'@');
    if is_usable { show(text).into_owned() } else { String::new() }
}

/// The main section of a manifest (JAR File Specification, "Manifest Specification").
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    vendor_id: String,
    implementation_version: String,
    specification_version: String,
    symbolic_name: String,
    bundle_version: String,
    module_name: String,
    license: String,
}

impl Manifest {
    /// Reads the main section: up to the first blank line, a value going on in lines that start with a blank.
    pub(super) fn read(text: &[u8]) -> Self {
        let mut found = Self::default();
        let mut lines =
            text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).peekable();
        while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
            let colon = line.iter().position(|byte| *byte == b':');
            let Some((name, start)) = colon.and_then(|colon| line.split_at_checked(colon)) else { continue };
            let slot = match name.to_ascii_lowercase().as_slice() {
                b"implementation-vendor-id" => &mut found.vendor_id,
                b"implementation-version" => &mut found.implementation_version,
                b"specification-version" => &mut found.specification_version,
                b"bundle-symbolicname" => &mut found.symbolic_name,
                b"bundle-version" => &mut found.bundle_version,
                b"automatic-module-name" => &mut found.module_name,
                b"bundle-license" => &mut found.license,
                _ => continue,
            };
            let mut whole = start.get(1..).unwrap_or_default().to_vec();
            while let Some(more) = lines.next_if(|line| line.starts_with(b" ")) {
                whole.extend(more.get(1..).unwrap_or_default());
            }
            *slot = value(&whole);
        }
        // `org.example.a;singleton:=true`
        found.symbolic_name.truncate(found.symbolic_name.find(';').unwrap_or(found.symbolic_name.len()));
        found
    }

    /// The licence, where it is one: the address of its text, or a name.
    pub(super) fn license(&self) -> Option<&str> {
        Some(self.license.split([',', ';']).next().unwrap_or_default().trim()).filter(|license| !license.is_empty())
    }

    /// What this manifest and the name of the file say together. The name knows best how the world writes artifact and
    /// version, since repositories name files by them; a group that not everybody knows is only in the manifest, where it is at all.
    pub(super) fn with_file_name(&self, path: &str) -> Coordinates {
        let mut found = Coordinates::of_file_name(path);
        if found.version.is_empty() {
            let versions = [&self.implementation_version, &self.bundle_version, &self.specification_version];
            found.version =
                versions.into_iter().find(|version| starts_with_digit(version)).cloned().unwrap_or_default();
        }
        // `org.yaml.snakeyaml` is what the group and the artifact of Maven become in OSGi and in Java's modules.
        let dotted = found.artifact.replace('-', ".");
        let of_name = [&self.symbolic_name, &self.module_name].into_iter().find_map(|name| {
            let (group, last) = name.rsplit_once('.').filter(|_| *name != dotted)?;
            let rest = name.strip_suffix(found.artifact.as_str()).and_then(|rest| rest.strip_suffix('.'));
            rest.or_else(|| (found.artifact.ends_with(last) || found.artifact.starts_with(last)).then_some(group))
        });
        let of_name = of_name.filter(|group| is_group(group));
        found.group = groups::of(&found.artifact).or(of_name).unwrap_or_default().to_owned();
        if found.group.is_empty() && is_group(&self.vendor_id) {
            found.group = self.vendor_id.clone();
        }
        found.licenses = self.license().into_iter().map(str::to_owned).collect();
        found
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// `com.example`: at least two parts.
fn is_group(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Calls `each` with the names of the elements around a text and the text. As much of XML as a `pom.xml` needs: no entities
/// but by name, nothing outside of the document.
fn elements(text: &[u8], mut each: impl FnMut(&[&[u8]], &[u8])) {
    let (mut path, mut too_deep, mut rest): (Vec<&[u8]>, usize, _) = (Vec::new(), 0, text);
    while let Some(open) = memchr::memchr(b'<', rest) {
        let (before, tag) = rest.split_at(open);
        let tag = tag.get(1..).unwrap_or_default();
        if !path.is_empty() && too_deep == 0 && !before.trim_ascii().is_empty() {
            each(&path, before);
        }
        let end: &[u8] = if tag.starts_with(b"!--") {
            b"-->"
        } else if tag.starts_with(b"![CDATA[") {
            b"]]>"
        } else {
            b">"
        };
        let Some(close) = memchr::memmem::find(tag, end) else { return };
        let (inner, after) = tag.split_at(close);
        rest = after.get(end.len()..).unwrap_or_default();
        match inner.first() {
            Some(b'!' | b'?') => {}
            Some(b'/') if too_deep > 0 => too_deep -= 1,
            Some(b'/') => drop(path.pop()),
            _ if inner.ends_with(b"/") => {}
            _ if path.len() == DEPTH => too_deep += 1,
            _ => path.push(inner.split(u8::is_ascii_whitespace).next().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_fall_apart_where_the_version_starts() {
        for (name, artifact, version) in [
            ("lib/guava-27.0-jre.jar", "guava", "27.0-jre"),
            ("log4j-1.2-api-2.17.1.jar", "log4j-1.2-api", "2.17.1"),
            ("zstd-jni-1.3.8-5.jar", "zstd-jni", "1.3.8-5"),
            ("java-cup-runtime-11b-20160615.jar", "java-cup-runtime", "11b-20160615"),
            ("netty-all-4.1.58.Final.jar", "netty-all", "4.1.58.Final"),
            ("jbcrypt-0.3m.jar", "jbcrypt", "0.3m"),
            ("app.jar", "app", ""),
            ("3.jar", "3", ""),
            ("-1.jar", "", "1"),
            ("", "", ""),
        ] {
            let found = Coordinates::of_file_name(name);
            assert_eq!((found.artifact.as_str(), found.version.as_str()), (artifact, version), "{name}");
        }
    }

    #[test]
    fn properties_as_java_writes_them() {
        let found = Coordinates::of_properties(b"#Generated\r\n#Mon\r\nversion=1.0\r\ngroupId : org.a\nartifactId b\n");
        assert_eq!((found.group.as_str(), found.artifact.as_str(), found.version.as_str()), ("org.a", "b", "1.0"));
        assert!(!Coordinates::of_properties(b"groupId=${project.groupId}\nartifactId=b\nversion=1").is_whole());
    }

    #[test]
    fn a_pom_and_its_parent() {
        let pom = b"<?xml version=\"1.0\"?><!-- <project> --><project xmlns=\"x\"><parent><groupId>org.a</groupId>\
            <artifactId>p</artifactId><version>3</version></parent><artifactId> b </artifactId><packaging/>\
            <licenses><license><name>Apache-2.0</name><url>u</url></license></licenses>\
            <dependencies><dependency><groupId>org.c</groupId><version>9</version></dependency></dependencies></project>";
        let found = Coordinates::of_xml(pom);
        let wanted = Coordinates {
            group: "org.a".into(),
            artifact: "b".into(),
            version: "3".into(),
            licenses: vec!["Apache-2.0".into()],
        };
        assert_eq!(found, wanted);
        assert_eq!(Coordinates::of_xml(&b"<a>".repeat(100_000)), Coordinates::default());
    }

    #[test]
    fn manifests_and_names_together() {
        for (manifest, path, group, artifact, version) in [
            (
                "Bundle-SymbolicName: org.yaml.snakeyaml\nBundle-Version: 1.33.0\n",
                "snakeyaml-1.33.jar",
                "org.yaml",
                "snakeyaml",
                "1.33",
            ),
            (
                "Bundle-SymbolicName: com.fasterxml.jackson.core.jackson-data\n bind;x=y\r\n",
                "jackson-databind-2.9.jar",
                "com.fasterxml.jackson.core",
                "jackson-databind",
                "2.9",
            ),
            (
                "Implementation-Vendor-Id: org.antlr\nImplementation-Version: 4.0.8\n",
                "ST4.jar",
                "org.antlr",
                "ST4",
                "4.0.8",
            ),
            (
                "Automatic-Module-Name: spring.core\nImplementation-Version: 5.3.1\n",
                "spring-core-5.3.1.jar",
                "org.springframework",
                "spring-core",
                "5.3.1",
            ),
            (
                "Bundle-SymbolicName: org.apache.tomcat-embed-core\n",
                "tomcat-embed-core-9.0.1.jar",
                "org.apache.tomcat.embed",
                "tomcat-embed-core",
                "9.0.1",
            ),
            ("Implementation-Version: ${v}\n\nName: a\nImplementation-Version: 9\n", "app.jar", "", "app", ""),
        ] {
            let found = Manifest::read(manifest.as_bytes()).with_file_name(path);
            assert_eq!(
                (found.group.as_str(), found.artifact.as_str(), found.version.as_str()),
                (group, artifact, version),
                "{manifest}"
            );
        }
    }
}
