//! What options of the program do, seen from outside: jobs that are saved and changed, registries under a name, wrong values.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

use std::io::Write as _;
use std::net::Shutdown;
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
        // Nothing of a test leaves this machine.
        command.env("HTTPS_PROXY", "http://127.0.0.1:1").env("NO_PROXY", "127.0.0.1");
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
        "check local --kind docker",
        "list local --kind harbor",
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
fn what_is_to_be_done_is_said_in_options() {
    let shell = Shell::new();
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = plain.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in plain.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
            let _ = stream.shutdown(Shutdown::Write);
            // What was sent is read, so that closing does not take the answer back.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    assert!(shell.refused(&format!("list {address}")).contains("--plain-http"));
    let told = shell.run(&format!("check {address} --format json")).1;
    assert!(told.contains("--plain-http"), "{told}");
    let told =
        shell.refused("registry add a --url 127.0.0.1:1 --no-check --token-env NOPE --proxy http://a:b@127.0.0.1:1");
    assert!(told.contains("HTTPS_PROXY") && told.matches("never written down").count() == 0, "{told}");
    let told = shell.refused("list nosuch");
    assert!(told.contains("https://nosuch") && !told.contains("or here"), "{told}");
}

#[test]
fn a_relative_path_is_saved_as_it_is_meant_now() {
    let shell = Shell::new();
    shell.done("registry add prod --url 127.0.0.1:1 --no-check --ca ca.pem --username a --password-file secret/pw");
    let saved: Value = serde_json::from_str(&shell.done("registry show prod --format json")).unwrap();
    let here = std::env::current_dir().unwrap();
    assert_eq!(saved["definition"]["ca"], json!(here.join("ca.pem")));
    let password = saved["definition"]["credential"]["basic"]["password"].clone();
    assert_eq!(password, json!({"file": here.join("secret/pw")}));
}

#[test]
fn of_a_saved_registry_a_part_can_be_changed_and_taken_away() {
    let shell = Shell::new();
    shell.done(
        "registry add prod http://127.0.0.1:1 --no-check --timeout 5 --rate 2 --username ann --password-env OLD --concurrency 3",
    );
    let definition = || -> Value {
        let shown: Value = serde_json::from_str(&shell.done("registry show prod --format json")).unwrap();
        shown["definition"].clone()
    };
    shell.done("registry set prod --no-check --password-file /new --clear timeout,rate");
    let expected = json!({"kind": "docker", "url": "http://127.0.0.1:1", "concurrency": 3,
        "credential": {"basic": {"username": "ann", "password": {"file": "/new"}}}});
    assert_eq!(definition(), expected);
    shell.done("registry set prod --no-check --kind harbor --projects team");
    assert_eq!(definition()["url"], expected["url"], "what both kinds have stays");
    assert_eq!(definition()["credential"], expected["credential"]);
    shell.done("registry set prod --no-check --kind docker --clear credential");
    assert_eq!((definition().get("projects"), &definition()["credential"]), (None, &json!({"docker_config": {}})));
    for (line, told) in [
        ("registry set prod", "nothing is given"),
        ("registry set prod --no-check --password-file /new", "--username"),
        ("registry set prod --no-check --url https://127.0.0.1:1 --plain-http", "--plain-http"),
        ("registry set prod --clear kind", "possible values"),
        ("registry add other http://a:1 --url http://b:1", "cannot be used with"),
        ("registry add other --kind ecr --region eu-central-1 --no-check", "the account of the registry is missing"),
    ] {
        assert!(shell.refused(line).contains(told), "{line}: {}", shell.refused(line));
    }
}

#[test]
fn what_a_file_defines_is_shown_and_not_changed() {
    let shell = Shell::new();
    let file = shell.0.path().join("registries.toml");
    std::fs::write(&file, "[lab]\nurl = \"127.0.0.1:1\"\n").unwrap();
    let file = file.display();
    let shown: Value =
        serde_json::from_str(&shell.done(&format!("registry show lab --registries {file} --format json"))).unwrap();
    assert_eq!((&shown["source"], &shown["definition"]["url"]), (&json!("file"), &json!("127.0.0.1:1")));
    for line in ["registry remove lab", "registry pause lab"] {
        let told = shell.refused(&format!("{line} --registries {file}"));
        assert!(told.starts_with("error: ") && told.contains("defined in the file"), "{told}");
    }
}

#[test]
fn words_are_listed_and_headings_hold_what_is_below() {
    let shell = Shell::new();
    for line in ["scan a:1 --fail-on bad", "inventory --severity bad"] {
        assert!(shell.refused(line).contains("critical, high, medium, low, negligible, none, unknown"), "{line}");
    }
    assert!(shell.refused("list local --kind bad").contains("artifactory"));
    assert!(shell.refused("schedule next --every x").contains("a number of days from 1 to 365"));
    assert!(shell.refused("explain").contains("--job <NAME>"));
    for (line, heading, option) in [
        ("job add -h", "Schedule:", "--scan-all"),
        ("job add -h", "Schedule:", "--store"),
        ("list -h", "Selection:", "--store"),
        ("explain -h", "Selection:", "--store"),
    ] {
        let help = shell.done(line);
        let (above, below) = help.split_once(&format!("\n{heading}")).unwrap();
        assert!(above.contains(option) && !below.contains(&format!("  {option} ")), "{line}: {option} under {heading}");
    }
    shell.done("schedule next --every 1 -q");
    shell.done("inventory changes --since 2026-11-01");
    assert!(shell.refused("inventory changes --since yesterday").contains("or a day such as"));
    assert_eq!(shell.run("check local -q").0, 2, "nobody listens");
}

#[test]
fn an_option_that_would_do_nothing_is_refused() {
    let shell = Shell::new();
    for line in [
        "list local --undated include",
        "explain local --zone Europe/Berlin",
        "job add a --registry local --undated built",
    ] {
        assert!(shell.refused(line).contains("--pushed"), "{line}");
    }
    assert!(shell.refused("list https://127.0.0.1:1 --plain-http").contains("leave --plain-http out"));
}

#[test]
fn what_was_meant_by_an_image_is_said() {
    let shell = Shell::new();
    let told = shell.refused("scan local/team/app:1.0 --offline");
    assert!(told.contains("write team/app:1.0 --registry local"), "{told}");
    let told = shell.refused("scan team/app:1.0 --registry local --offline");
    assert!(told.contains("port 1") && !told.contains("another registry"), "{told}");
    let told = shell.refused("scan Cargo.toml --offline");
    assert!(told.contains("write ./Cargo.toml"), "{told}");
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
