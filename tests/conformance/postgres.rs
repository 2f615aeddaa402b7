//! A real PostgreSQL, Debian's, in a folder of its own and behind a socket there, for as long as a test needs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A server that stops with its last test.
pub(super) struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
    /// Who runs it, since it refuses to be root.
    user: Option<String>,
}

impl Postgres {
    /// Starts one. None where there is no PostgreSQL, which is said; in the continuous integration that is an error.
    pub(super) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(std::env::var_os("CI").is_none(), "there is no PostgreSQL");
            println!("skipped: there is no PostgreSQL");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("tw-pg").tempdir_in("/tmp").unwrap();
        let user = is_root().then(|| "postgres".to_owned());
        if let Some(user) = &user {
            let owned = Command::new("chown").arg(user).arg(folder.path()).status().unwrap();
            assert!(owned.success());
        }
        let server = Self { folder, programs, user };
        server
            .run("initdb", &["-D", "data", "-A", "trust", "-U", "tidewaiter", "-E", "UTF8", "--locale=C.UTF-8", "-N"]);
        server.up();
        server.into()
    }

    /// Starts the server in its folder.
    pub(super) fn up(&self) {
        let options = format!("-k {} -c listen_addresses='' -c fsync=off", self.folder.path().display());
        self.run("pg_ctl", &["-D", "data", "-w", "-t", "60", "-l", "log", "-o", &options, "start"]);
    }

    /// Stops it at once, as a crash would.
    pub(super) fn down(&self) {
        self.run("pg_ctl", &["-D", "data", "-m", "immediate", "stop"]);
    }

    /// Makes a database, and gives its address.
    pub(super) fn database(&self, name: &str) -> String {
        let folder = self.folder.path().display().to_string();
        self.run("createdb", &["-h", &folder, "-U", "tidewaiter", name]);
        format!("postgres://tidewaiter@{}/{name}?sslmode=disable", folder.replace('/', "%2F"))
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = match &self.user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user, "--clear-groups"]).arg(&program);
                command
            }
            None => Command::new(&program),
        };
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "{program:?} {arguments:?}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.down();
    }
}

/// The folder with the programs of the newest version.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<_> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    folders.retain(|folder| folder.join("initdb").exists());
    folders.sort();
    folders.pop()
}

fn is_root() -> bool {
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}
