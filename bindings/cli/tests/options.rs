//! What options of the program do, seen from outside: jobs that are saved and changed, registries under a name, wrong values.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The program, with data of its own: the registry `local`, where nobody listens.
struct Shell(TempDir);

impl Shell {
    fn new() -> Self {
        let shell = Self(tempfile::tempdir().unwrap());
        shell.done("registry add local --url http://127.0.0.1:1 --no-check");
        shell
    }

    /// The exit code, standard output, standard error. A line is split at spaces.
    fn run(&self, line: &str) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidewaiter"));
        command.args(line.split(' ')).env_remove("TIDEWAITER_STORE").env("HOME", self.0.path());
        let done = command.env("XDG_DATA_HOME", self.0.path()).env("XDG_CACHE_HOME", self.0.path()).output().unwrap();
        let [out, err] = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
        (done.status.code().unwrap(), out, err)
    }

    fn done(&self, line: &str) -> String {
        let (code, out, err) = self.run(line);
        assert_eq!(code, 0, "{line}: {err}");
        out
    }

    /// What is told about a line that cannot be.
    fn refused(&self, line: &str) -> String {
        let (code, out, err) = self.run(line);
        assert_eq!((code, out.as_str()), (2, ""), "{line}: {err}");
        err
    }

    fn job(&self, name: &str) -> Value {
        serde_json::from_str(&self.done(&format!("job show {name} --format json"))).unwrap()
    }
}

#[test]
fn what_is_not_given_of_a_schedule_stays() {
    let shell = Shell::new();
    shell.done(
        "job add nightly --registry local --every 1 --at 02:30 --zone Europe/Berlin --anchor 2026-01-01T00:00:00Z",
    );
    let written = |more: Value| {
        let mut written = json!({"zone": "Europe/Berlin", "anchor": "2026-01-01T00:00:00Z"});
        written.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        written
    };
    for (change, expected) in [
        ("--every 1 --at 03:00", written(json!({"every": 1, "at": "03:00"}))),
        ("--at 04:00", written(json!({"every": 1, "at": "04:00"}))),
        ("--newest 5", written(json!({"every": 1, "at": "04:00"}))),
        ("--every 7", written(json!({"every": 7}))),
        ("--weekday monday", written(json!({"every": 7, "weekday": "monday"}))),
        ("--every 14", written(json!({"every": 14}))),
        ("--zone UTC", json!({"every": 14, "zone": "UTC", "anchor": "2026-01-01T00:00:00Z"})),
        ("--on-demand", Value::Null),
        ("--zone Europe/Berlin", Value::Null),
        ("--every 30", json!({"every": 30, "zone": "Europe/Berlin"})),
    ] {
        shell.done(&format!("job set nightly {change}"));
        assert_eq!(shell.job("nightly")["schedule"], expected, "{change}");
    }
    for change in ["--at 02:30", "--weekday monday", "--every 1 --weekday monday", "--on-demand --at 02:30"] {
        shell.refused(&format!("job set nightly {change}"));
    }
    assert!(shell.refused("job add other --registry local --at 02:30").contains("--every"));
}

#[test]
fn a_limit_is_taken_away_again() {
    let shell = Shell::new();
    shell.done(
        "job add all --registry local --repo team/* --tag v* --exclude-repo team/old --exclude-tag *-rc --pushed 7 --undated exclude \
         --newest 5 --cap 10 --platform linux/amd64 --every 7 --weekday monday",
    );
    shell.done("job set all --clear newest --cap 20");
    let selection = shell.job("all")["selection"].clone();
    assert_eq!((selection.get("newest"), &selection["cap"]), (None, &json!(20)));
    shell.done("job set all --clear cap,tag,exclude-repo,exclude-tag,pushed,undated,platform --clear weekday --tag w*");
    let job = shell.job("all");
    assert_eq!(job["selection"], json!({"repositories": ["team/*"], "tags": ["w*"]}));
    assert_eq!(job["schedule"], json!({"every": 7, "zone": "UTC"}));
    shell.done("job set all --clear repo,tag,newest,aql,at,anchor");
    assert_eq!(shell.job("all")["selection"], json!({}));
    shell.refused("job set all --clear registry");
}

#[test]
fn a_wrong_value_is_told_as_it_was_written() {
    let shell = Shell::new();
    for (line, told) in [
        ("list local --newest 0", "newest"),
        ("list local --cap 0", "cap"),
        ("list local --undated x", "undated: x"),
        ("list local --pushed tomorrow", "pushed: tomorrow"),
        ("list local --pushed 400", "pushed"),
        ("explain local --zone Nope", "zone: Nope"),
        ("job add a --registry local --zone Nope", "zone: Nope"),
        ("job add a --registry local --every 1 --at 25:00", "at: 25:00"),
        ("job add a --registry local --every 0", "every"),
        ("job add a --registry local --newest 0", "newest"),
    ] {
        let err = shell.refused(line);
        assert!(err.contains(told) && !err.contains("column") && !err.contains("JSON"), "{line}: {err}");
    }
}

#[test]
fn what_is_saved_is_not_said_again() {
    let shell = Shell::new();
    shell.done("job add all --registry local");
    for line in [
        "check local --ca /nonexistent",
        "check local --username a --password-env NOPE",
        "check local --plain-http",
        "list local --docker-config /nonexistent",
        "explain local --region eu-central-1",
        "scan 127.0.0.1:1/app --registry local --username a --password-env NOPE",
        "scan 127.0.0.1:1/app --registry local --plain-http",
    ] {
        assert!(shell.refused(line).contains("registry set"), "{line}");
    }
    for more in
        ["--repo a", "--newest 5", "--username a --password-env P", "--plain-http", "--registries f", "--region r"]
    {
        assert!(shell.refused(&format!("explain --job all {more}")).contains("cannot be used with"), "{more}");
    }
}

#[test]
fn a_list_of_repositories_takes_no_options_of_images() {
    let shell = Shell::new();
    for more in [
        "--tag v*",
        "--exclude-tag v*",
        "--pushed 7",
        "--newest 5",
        "--cap 5",
        "--undated built",
        "--platform all",
        "--aql items.find({})",
    ] {
        let told = shell.refused(&format!("list local --repositories {more}"));
        assert!(told.contains("cannot be used with"), "{more}: {told}");
    }
}

#[test]
fn what_takes_longer_than_it_may_is_given_up() {
    let shell = Shell::new();
    // It takes connections, and never answers.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    shell.done(&format!("registry add silent --url http://{address} --no-check"));
    shell.done("job add all --registry silent");
    for line in [
        "list silent",
        "explain silent",
        "explain --job all",
        "check silent",
        &format!("scan {address}/app --registry silent --offline"),
    ] {
        let err = shell.refused(&format!("{line} --timeout 0.5"));
        assert!(err.contains("the deadline passed"), "{line}: {err}");
    }
}

#[test]
fn one_of_several_names_keeps_the_others_from_nothing() {
    let shell = Shell::new();
    shell.done("registry add other --url http://127.0.0.1:1 --no-check");
    shell.done("job add a --registry local");
    shell.done("job add b --registry local");
    for (line, field) in [("registry show local none other", "name"), ("job show a none b", "job")] {
        let (code, out, err) = shell.run(&format!("{line} --format json"));
        let told: Vec<_> =
            out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()[field].clone()).collect();
        let names: Vec<_> = line.split(' ').skip(2).filter(|name| *name != "none").collect();
        assert_eq!((code, told), (2, names.into_iter().map(Value::from).collect()), "{err}");
        assert!(err.contains("none"), "{err}");
    }
}

#[test]
fn a_run_that_is_out_of_time_keeps_the_next_from_nothing() {
    let shell = Shell::new();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    shell.done(&format!("registry add silent --url http://{} --no-check", server.local_addr().unwrap()));
    shell.done("job add a --registry silent");
    shell.done("job add b --registry silent");
    let (code, out, err) = shell.run("job run a b --timeout 0.5 --offline --format json");
    let told: Vec<_> = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["job"].clone()).collect();
    assert_eq!((code, told), (130, vec!["a".into(), "b".into()]), "{err}");
}
