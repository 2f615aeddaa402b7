//! `tidewaiter job`.

use std::time::Instant;

use clap::{Args, Subcommand, ValueEnum};
use tidewaiter::job::{self, State as RunState, Summary};
use tidewaiter::model::zone::Zone;
use tidewaiter::schedule::{Definition, Schedule};
use tidewaiter::select::{Pushed, Selection, Undated};
use tidewaiter::{Cancel, Error, Kind, Result};
use tidewaiter_facade::{JobDetails, JobStatus, Mode, Names, Pause, PutJob, RestartJob, RunJob, Scanner, Silent};

use crate::commands::schedule::days;
use crate::console::{self, Exit, printable};
use crate::output::{self, Format};
use crate::progress::Progress;
use crate::selection;
use crate::state::{Means, State};
use crate::table;
use crate::told;

/// Look after a registry: which of its images are scanned, and when
#[derive(Subcommand)]
pub(crate) enum Job {
    /// Save a job; no run starts
    ///
    /// Without --every it runs on demand only: `tidewaiter job run NAME`. `tidewaiter worker` runs what is due.
    #[command(after_help = EXAMPLES)]
    Add(Box<Put>),
    /// Change a job: what is given replaces what was saved, the rest stays, and so does what was scanned
    Set(Box<Change>),
    /// List the jobs
    List {
        #[command(flatten)]
        state: State,
    },
    /// Show jobs, what came of their latest runs, and who works on them
    Show(Several),
    /// Run jobs now: their first run scans all that is selected, later ones what is new
    ///
    /// Ctrl-C cancels the run and keeps what is finished. Images that cannot be scanned are in the result, and the exit code is 0. It is
    /// 2 where the registry, or one of its repositories, cannot be listed.
    Run(Box<Run>),
    /// Cancel the runs of jobs; what is finished is kept
    Cancel(Several),
    /// Run jobs again: what is missing and what failed
    Restart(Box<Restart>),
    /// Pause jobs: none of them is due
    Pause(Several),
    /// Resume paused jobs
    Resume(Several),
    /// Delete jobs that have no run going on; the inventory stays
    Delete(Several),
}

const EXAMPLES: &str = "Examples:
  tidewaiter job add all --registry prod
  tidewaiter job add nightly --registry prod --repo 'team/*' --pushed last-7-days --every 1 --at 02:30 --zone Europe/Berlin
  tidewaiter job add weekly --registry prod --newest 3 --every 7 --weekday sunday --scan-all";

#[derive(Args)]
pub(crate) struct Put {
    /// The name of the job
    #[arg(value_name = "NAME")]
    job: String,
    /// The name of a saved registry
    #[arg(long, value_name = "NAME")]
    registry: Option<String>,
    /// Scan all that is selected in every scheduled run, not only what is new; needs --every 7 or more and one of --newest, --pushed
    #[arg(long)]
    scan_all: bool,
    /// Scan what is new only, as jobs do by default
    #[arg(long, conflicts_with = "scan_all")]
    new_only: bool,
    #[command(flatten)]
    state: State,
    // Groups with a heading of their own come last: it holds for all that follows.
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    selection: selection::Options,
}

#[derive(Args)]
pub(crate) struct Change {
    /// Take this away from what was saved, before what is given is put in; several with commas, or several times
    #[arg(long, value_name = "FIELD", value_enum, value_delimiter = ',')]
    clear: Vec<Clear>,
    #[command(flatten)]
    put: Put,
}

/// What can be taken away: the options of the same names.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Clear {
    Repo,
    Tag,
    ExcludeRepo,
    ExcludeTag,
    Pushed,
    Undated,
    Newest,
    Cap,
    Aql,
    Platform,
    At,
    Weekday,
    Anchor,
}

/// When a job runs. The time zone is that of the selection.
#[derive(Args)]
#[command(next_help_heading = "Schedule")]
struct Times {
    /// The interval in days, 1 to 365
    #[arg(long, value_name = "DAYS", value_parser = days)]
    every: Option<u16>,
    /// The start time of each day; only with --every 1
    #[arg(long, value_name = "HH:MM")]
    at: Option<String>,
    /// The day of the week, monday to sunday; only with --every 7
    #[arg(long, value_name = "DAY")]
    weekday: Option<String>,
    /// What days are counted from (RFC 3339) [default: when the job is added]
    #[arg(long, value_name = "TIME")]
    anchor: Option<String>,
    /// Run on demand only, as jobs do by default
    #[arg(long, conflicts_with_all = ["every", "at", "weekday", "anchor"])]
    on_demand: bool,
}

#[derive(Args)]
pub(crate) struct Several {
    /// The names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    state: State,
}

#[derive(Args)]
pub(crate) struct Run {
    /// The names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Take all that is selected: what is known is held against today's advisories
    #[arg(long)]
    scan_all: bool,
    /// With --scan-all: read the manifests of what is known again too. Layers whose results the store has are not fetched again
    #[arg(long, requires = "scan_all")]
    pull: bool,
    /// Only put the run into the queue, for a worker
    #[arg(long)]
    detach: bool,
    /// Cancel the run after this time; what is finished stays
    #[arg(long, value_name = "SECONDS", conflicts_with = "detach")]
    timeout: Option<f64>,
    #[command(flatten)]
    state: State,
    #[command(flatten)]
    means: Means,
}

#[derive(Args)]
pub(crate) struct Restart {
    /// The names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Only put the run into the queue, for a worker
    #[arg(long)]
    detach: bool,
    /// Cancel the run after this time; what is finished stays
    #[arg(long, value_name = "SECONDS", conflicts_with = "detach")]
    timeout: Option<f64>,
    #[command(flatten)]
    state: State,
    #[command(flatten)]
    means: Means,
}

impl Job {
    pub(crate) fn run(self, cancel: &Cancel) -> Result<Exit> {
        match self {
            Self::Add(put) => {
                let scanner = put.state.open()?;
                put.save(&scanner, put.new_job()?, Mode::Add, cancel)
            }
            Self::Set(change) => {
                let Change { clear, put } = *change;
                let scanner = put.state.open()?;
                let job =
                    clear.into_iter().try_fold(put.saved(&scanner, cancel)?, |job, field| field.take_from(job))?;
                put.save(&scanner, job, Mode::Set, cancel)
            }
            Self::List { state } => {
                list(&state.open()?.list_jobs(cancel)?.wait(&mut Progress::new(true))?, state.format)
            }
            Self::Show(Several { names, state }) => {
                let scanner = state.open()?;
                console::each(&names, cancel, |name| {
                    let details = scanner.job(name, cancel)?.wait(&mut Progress::new(true))?;
                    match state.format {
                        Format::Json => output::print_one_of(&names, &details)?,
                        Format::Table => output::print(describe(&details).as_bytes())?,
                    }
                    Ok(Exit::Done)
                })
            }
            Self::Run(run) => {
                let Run { names, scan_all, pull, detach, timeout, state, means } = *run;
                let scanner = state.open_to_scan(&means)?;
                follow(&names, &state, timeout, cancel, |job, progress| {
                    let request = RunJob { job: job.to_owned(), scan_all, pull, detach, timeout };
                    scanner.run_job(request, cancel)?.wait(progress)
                })
            }
            Self::Restart(restart) => {
                let Restart { names, detach, timeout, state, means } = *restart;
                let scanner = state.open_to_scan(&means)?;
                follow(&names, &state, timeout, cancel, |job, progress| {
                    scanner.restart_job(RestartJob { job: job.to_owned(), detach, timeout }, cancel)?.wait(progress)
                })
            }
            Self::Cancel(Several { names, state }) => {
                let outcomes = state.open()?.cancel_jobs(Names { names }, cancel)?.wait(&mut Silent)?;
                state.show_outcomes(&outcomes, "canceled")
            }
            Self::Delete(Several { names, state }) => {
                let outcomes = state.open()?.delete_jobs(Names { names }, cancel)?.wait(&mut Silent)?;
                state.show_outcomes(&outcomes, "deleted")
            }
            Self::Pause(several) => several.pause(true, cancel),
            Self::Resume(several) => several.pause(false, cancel),
        }
    }
}

impl Several {
    fn pause(self, paused: bool, cancel: &Cancel) -> Result<Exit> {
        let Self { names, state } = self;
        let outcomes = state.open()?.pause_jobs(Pause { names, paused }, cancel)?.wait(&mut Silent)?;
        state.show_outcomes(&outcomes, if paused { "paused" } else { "resumed" })
    }
}

impl Put {
    /// Saves the job with what was given instead.
    fn save(&self, scanner: &Scanner, job: job::Job, mode: Mode, cancel: &Cancel) -> Result<Exit> {
        let job = self.change(job)?;
        let status = scanner.put_job(PutJob { job: job.into(), registry: None, mode }, cancel)?.wait(&mut Silent)?;
        match self.state.format {
            Format::Json => output::print_json(&status)?,
            Format::Table => {
                let next = match status.next {
                    Some(next) => format!("runs next at {}", table::time(Some(next))),
                    None => format!("runs on demand: `tidewaiter job run {}`", printable(&status.job)),
                };
                output::print(format!("{}: saved, {next}\n", printable(&status.job)).as_bytes())?;
            }
        }
        Ok(Exit::Done)
    }

    /// A job of which nothing is known yet.
    fn new_job(&self) -> Result<job::Job> {
        let registry = self.registry.as_ref().ok_or_else(|| {
            Error::new(Kind::InvalidInput, "the registry of the job is missing")
                .with_hint("name a saved one with --registry; `tidewaiter registry add` saves one")
        })?;
        Ok(job::Job::new(&self.job, registry, Selection::new()))
    }

    /// The job as it is.
    fn saved(&self, scanner: &Scanner, cancel: &Cancel) -> Result<job::Job> {
        let status = scanner.job(&self.job, cancel)?.wait(&mut Silent)?.status;
        let job = job::Job::new(status.job, status.registry, status.selection);
        let mut job = job.schedule(status.schedule).scan_all(status.scan_all);
        job.paused = status.paused;
        Ok(job)
    }

    /// The job with what was given instead.
    fn change(&self, mut job: job::Job) -> Result<job::Job> {
        if let Some(registry) = &self.registry {
            job.registry.clone_from(registry);
        }
        job.selection = self.selection.change(job.selection)?;
        job.schedule = self.times.change(job.schedule, &job.selection.zone, self.selection.zone())?;
        if self.scan_all || self.new_only {
            job.scan_all = self.scan_all;
        }
        Ok(job)
    }
}

impl Clear {
    /// The job without it.
    fn take_from(self, mut job: job::Job) -> Result<job::Job> {
        let selection = &mut job.selection;
        match self {
            Self::Repo => selection.repositories.clear(),
            Self::Tag => selection.tags.clear(),
            Self::ExcludeRepo => selection.exclude_repositories.clear(),
            Self::ExcludeTag => selection.exclude_tags.clear(),
            Self::Platform => selection.platforms.clear(),
            Self::Pushed => selection.pushed = Pushed::all(),
            Self::Undated => selection.undated = Undated::default(),
            Self::Newest => selection.newest = None,
            Self::Cap => selection.cap = None,
            Self::Aql => selection.aql = None,
            Self::At | Self::Weekday | Self::Anchor => {
                if let Some(mut written) = Option::<Definition>::from(job.schedule.clone()) {
                    match self {
                        Self::At => written.at = None,
                        Self::Weekday => written.weekday = None,
                        _ => written.anchor = None,
                    }
                    job.schedule = written.try_into()?;
                }
            }
        }
        Ok(job)
    }
}

impl Times {
    /// A schedule with what was given instead; a new one has the zone of the selection. Of another interval, what the interval before
    /// alone could have is left out.
    fn change(&self, schedule: Schedule, of_selection: &Zone, zone: Option<&str>) -> Result<Schedule> {
        let Self { every, at, weekday, anchor, on_demand } = self;
        if *on_demand {
            return Ok(Schedule::on_demand());
        }
        let times = [("at", at), ("weekday", weekday), ("anchor", anchor)];
        let given = times.into_iter().find(|(_, time)| time.is_some());
        let mut written = match (Option::<Definition>::from(schedule), every) {
            (Some(saved), _) => saved,
            (None, Some(every)) => {
                Definition { every: *every, zone: Some(of_selection.name().to_owned()), ..Definition::default() }
            }
            (None, None) => {
                let Some((field, _)) = given else { return Ok(Schedule::on_demand()) };
                return Err(Error::new(Kind::InvalidInput, "what runs on demand has no times")
                    .with("field", field)
                    .with_hint("say with --every how many days are between two runs"));
            }
        };
        if let Some(every) = every {
            written.every = *every;
            written.at = written.at.filter(|_| *every == 1);
            written.weekday = written.weekday.filter(|_| *every == 7);
        }
        for (given, field) in [
            (at.as_deref(), &mut written.at),
            (weekday.as_deref(), &mut written.weekday),
            (anchor.as_deref(), &mut written.anchor),
            (zone, &mut written.zone),
        ] {
            if let Some(given) = given {
                *field = Some(given.to_owned());
            }
        }
        written.try_into()
    }
}

/// Runs jobs one after another, as `run` does, and tells what came of each.
fn follow(
    names: &[String],
    state: &State,
    timeout: Option<f64>,
    cancel: &Cancel,
    run: impl Fn(&str, &mut Progress) -> Result<Summary>,
) -> Result<Exit> {
    console::each(names, cancel, |name| {
        let (mut progress, began) = (Progress::new(state.quiet), Instant::now());
        let done = run(name, &mut progress);
        drop(progress);
        let summary = done?;
        match state.format {
            Format::Json => output::print_one_of(names, &summary)?,
            Format::Table => output::print(tell(&summary).as_bytes())?,
        }
        Ok(match summary.state {
            // By the user, the time that it may take, or somebody else.
            RunState::Canceled => {
                let is_late = timeout.is_some_and(|timeout| began.elapsed().as_secs_f64() >= timeout);
                let why = if is_late && !cancel.is_canceled() { "the time of --timeout is over" } else { "canceled" };
                eprintln!("{why}; go on with `tidewaiter job restart {}`", printable(name));
                Exit::Canceled
            }
            // Also of a run that is finished, where not all repositories could be listed.
            _ if summary.error.is_some() => Exit::Error,
            _ => Exit::Done,
        })
    })
}

/// What came of a run, for people.
fn tell(summary: &Summary) -> String {
    let mut text = format!("{}: run {} {}\n", printable(&summary.job), summary.run, summary.state);
    if summary.state == RunState::Queued {
        return text;
    }
    let skipped: Vec<_> = summary.skipped.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let skipped = if skipped.is_empty() { "0".to_owned() } else { skipped.join(", ") };
    let counts = [
        ("listed", format!("{}, {} selected", summary.listed, summary.selected)),
        ("scanned", scanned(summary)),
        ("skipped", skipped),
        ("failed", summary.failed.len().to_string()),
        ("waiting", summary.waiting.to_string()),
        (
            "layers",
            format!(
                "{} fetched ({}), {} from the store",
                summary.layers_fetched,
                table::bytes(summary.bytes_fetched),
                summary.layers_from_store
            ),
        ),
        ("findings", table::ratings(&summary.findings)),
        ("changes", format!("{} new, {} fixed", summary.new_findings, summary.fixed_findings)),
    ];
    for (name, value) in counts {
        if name != "waiting" || summary.waiting > 0 {
            text.push_str(&format!("  {name:<9} {value}\n"));
        }
    }
    for failed in &summary.failed {
        text.push_str(&format!(
            "  {}@{}: {}\n",
            printable(&failed.repository),
            failed.digest,
            printable(&failed.error)
        ));
    }
    if let Some(error) = &summary.error {
        text.push_str(&format!("  {}\n", printable(error)));
    }
    text
}

/// How many images were scanned and matched again, and of how many not all is known.
fn scanned(summary: &Summary) -> String {
    // What was not matched was scanned, or taken to be matched again.
    let again = summary.rematched.saturating_sub(summary.unmatched.saturating_sub(summary.scanned));
    let mut text = format!("{}, {again} matched again", summary.scanned);
    if summary.unmatched > 0 {
        text.push_str(&format!(", {} not matched: there are no advisories", summary.unmatched));
    }
    if summary.incomplete > summary.unmatched {
        text.push_str(&format!(", {} incomplete", summary.incomplete));
    }
    text
}

fn list(jobs: &[JobStatus], format: Format) -> Result<Exit> {
    if format == Format::Json {
        for job in jobs {
            output::print(output::json_line(job)?.as_bytes())?;
        }
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = jobs
        .iter()
        .map(|job| {
            let next = if job.paused || job.registry_paused { "paused".to_owned() } else { table::time(job.next) };
            [job.job.clone(), job.registry.clone(), told::schedule(&job.schedule), state(job), last_run(job), next]
        })
        .collect();
    output::print(table::columns(["JOB", "REGISTRY", "SCHEDULE", "STATE", "LAST RUN", "NEXT"], &rows).as_bytes())?;
    Ok(Exit::Done)
}

fn state(job: &JobStatus) -> String {
    job.state.map_or_else(|| "never ran".to_owned(), |state| state.to_string())
}

/// When the latest run began, and how long it took.
fn last_run(job: &JobStatus) -> String {
    let Some(began) = job.began else { return "-".to_owned() };
    let took = job.ended.map(|ended| format!(" ({} s)", began.duration_until(ended).as_secs()));
    format!("{}{}", table::time(Some(began)), took.unwrap_or_default())
}

/// A job, for people.
fn describe(details: &JobDetails) -> String {
    let job = &details.status;
    let rows = [
        ["job".to_owned(), job.job.clone()],
        ["registry".to_owned(), job.registry.clone()],
        ["selection".to_owned(), told::selection(&job.selection)],
        ["schedule".to_owned(), told::schedule(&job.schedule)],
        ["scan all".to_owned(), job.scan_all.to_string()],
        ["paused".to_owned(), (job.paused || job.registry_paused).to_string()],
        ["state".to_owned(), state(job)],
        ["last run".to_owned(), last_run(job)],
        ["next".to_owned(), table::time(job.next)],
    ];
    let mut text = table::columns(["FIELD", "VALUE"], &rows);
    if let Some(summary) = &details.summary {
        text.push_str(&tell(summary));
    }
    for holding in &details.holds {
        let image = match (&holding.repository, &holding.digest) {
            (Some(repository), Some(digest)) => format!("{}@{digest}", printable(repository)),
            _ => "the plan".to_owned(),
        };
        let since = table::time(holding.since);
        text.push_str(&format!("  {} has {image} since {since}\n", printable(&holding.worker)));
    }
    text
}
