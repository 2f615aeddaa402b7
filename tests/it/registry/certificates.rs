//! Certificates, made with the `openssl` program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A certificate that signs itself, and its key, two files (PEM) in a folder of their own.
pub(crate) struct Certificate {
    folder: TempDir,
}

impl Certificate {
    /// For a server at 127.0.0.1; none without the program.
    pub(crate) fn of_server() -> Option<Self> {
        Self::with("/CN=127.0.0.1", "subjectAltName=IP:127.0.0.1")
    }

    /// For a server at 127.0.0.1 that is known as localhost too; none without the program.
    pub(crate) fn of_server_with_a_name() -> Option<Self> {
        Self::with("/CN=127.0.0.1", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    }

    /// For a client; none without the program.
    pub(crate) fn of_client() -> Option<Self> {
        // One that may sign others would not be taken for a client's.
        Self::with("/CN=scanner", "basicConstraints=critical,CA:FALSE")
    }

    fn with(subject: &str, extension: &str) -> Option<Self> {
        let made = Self { folder: tempfile::tempdir().unwrap() };
        let status = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", subject, "-addext", extension, "-out"])
            .arg(made.path())
            .arg("-keyout")
            .arg(made.key_path())
            .stderr(Stdio::null())
            .status();
        if status.is_ok_and(|status| status.success()) {
            return Some(made);
        }
        println!("skipped: there is no openssl program");
        None
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    pub(crate) fn key_path(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// The certificate and the key.
    pub(crate) fn pem(&self) -> (Vec<u8>, Vec<u8>) {
        let read = |path: &Path| std::fs::read(path).unwrap();
        (read(&self.path()), read(&self.key_path()))
    }
}
