//! The operations that every binding offers: one list, and under which name each language has them. A test holds the
//! languages to it.

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its name here.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// The functions of the C header.
    pub c: &'static [&'static str],
    /// What the Python stub declares, such as `def scan` or `class Cancel`.
    pub python: &'static [&'static str],
    /// The command whose help shows it, and the words that stand there.
    pub shell: &'static [(&'static [&'static str], &'static str)],
}

/// Every operation.
pub const ALL: &[Operation] = &[
    Operation {
        name: "open",
        about: "open a scanner from a configuration, and close it",
        c: &["tw_scanner_new", "tw_scanner_free"],
        python: &["class Scanner", "def __init__", "def close", "def __enter__"],
        shell: &[
            (&["scan"], "--memory"),
            (&["scan"], "--concurrency"),
            (&["scan"], "--limit"),
            (&["scan"], "--no-cache"),
        ],
    },
    Operation {
        name: "scan",
        about: "scan one image: its packages, and the advisories that concern them",
        c: &[
            "tw_scanner_scan",
            "tw_report_json",
            "tw_report_finding_count",
            "tw_report_package_count",
            "tw_report_problem_count",
            "tw_report_next",
        ],
        python: &[
            "def scan",
            "def scan_platforms",
            "class Report",
            "def findings",
            "def packages",
            "def problems",
            "def to_json",
        ],
        shell: &[
            (&["scan"], "--platform"),
            (&["scan"], "--output"),
            (&["scan"], "--include-owned"),
            (&["scan"], "--foreign-layers"),
        ],
    },
    Operation {
        name: "check",
        about: "check the connection to a registry step by step",
        c: &["tw_scanner_check"],
        python: &["def check", "class Check", "class Step"],
        shell: &[(&["check"], "--repository")],
    },
    Operation {
        name: "repositories",
        about: "list the repositories of a registry",
        c: &["tw_scanner_repositories", "tw_listing_next", "tw_listing_free"],
        python: &["def repositories"],
        shell: &[(&["list"], "--repositories")],
    },
    Operation {
        name: "images",
        about: "list the images of a registry that a selection chooses, with their dates",
        c: &["tw_scanner_images"],
        python: &["def images", "class Selection", "class Image", "class ImageDate"],
        shell: &[(&["list"], "--repo"), (&["list"], "--pushed")],
    },
    Operation {
        name: "explain",
        about: "say of every image of a registry whether a selection chooses it, and why",
        c: &["tw_scanner_explain"],
        python: &["def explain"],
        shell: &[(&["explain"], "--repo")],
    },
    Operation {
        name: "import-advisories",
        about: "import OSV advisories from files and folders into the database",
        c: &["tw_advisories_import"],
        python: &["def import_advisories"],
        shell: &[(&["advisories", "import"], "--db")],
    },
    Operation {
        name: "update-advisories",
        about: "fetch the advisories of ecosystems into the database",
        c: &["tw_advisories_update"],
        python: &["def update_advisories"],
        shell: &[(&["advisories", "update"], "--base-url")],
    },
    Operation {
        name: "advisories-status",
        about: "describe the advisory database: its file, its age, its ecosystems",
        c: &["tw_advisories_status"],
        python: &["def advisories_status"],
        shell: &[(&["advisories", "status"], "--db")],
    },
    Operation {
        name: "schedule-next",
        about: "tell when a schedule runs next",
        c: &["tw_schedule_next"],
        python: &["class Schedule", "def daily", "def weekly", "def every", "def on_demand", "def next"],
        shell: &[
            (&["schedule", "next"], "--every"),
            (&["schedule", "next"], "--at"),
            (&["schedule", "next"], "--weekday"),
            (&["schedule", "next"], "--zone"),
            (&["schedule", "next"], "--anchor"),
            (&["schedule", "next"], "--after"),
            (&["schedule", "next"], "--count"),
        ],
    },
    Operation {
        name: "events",
        about: "watch how far a call has come",
        c: &["tw_on_event"],
        python: &["on_event"],
        shell: &[(&["scan"], "--quiet")],
    },
    Operation {
        name: "cancel",
        about: "end a call from another thread",
        c: &["tw_cancel_new", "tw_cancel_cancel", "tw_cancel_free"],
        python: &["class Cancel", "def cancel"],
        shell: &[(&["scan"], "Ctrl-C"), (&["scan"], "--timeout")],
    },
];
