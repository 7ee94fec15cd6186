//! The rounds: runs every case on every peer in turn and reports what came out.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum as _;

use crate::cli::{Options, Question};
use crate::machine::{Cores, Description};
use crate::peers::{Peer, external};
use crate::report::{Metric, Report, Table};
use crate::{
    churn, echo, event, idle, latency, memory, mutex, queue_ping_pong, semaphore, sleep, spawn,
    spawn_join, spsc, start_up, streaming, yield_now,
};

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Where to run.
    pub(crate) cores: Cores,
    /// Length of the measured window of the network questions.
    pub(crate) window: Duration,
    /// How long the load runs before it.
    pub(crate) warm_up: Duration,
    /// How long a micro question repeats its body.
    pub(crate) micro_window: Duration,
    /// How large the questions with a size of their own are.
    pub(crate) scale: Scale,
}

/// Whether the numbers shall mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// They need not: everything is as small as it can be.
    Smoke,
    /// What the questions ask.
    Full,
}

/// One table to be: a question with its parameters.
pub(crate) struct Case {
    pub(crate) question: Question,
    /// The parameters, in words.
    pub(crate) name: String,
    /// What each measurement yields, in this order.
    pub(crate) metrics: &'static [Metric],
    /// Who takes part; the first is what ratios refer to.
    pub(crate) peers: &'static [Peer],
    /// Measures one peer once, in fresh processes, and checks the result.
    pub(crate) measure: Box<dyn Fn(Peer) -> io::Result<Vec<f64>>>,
}

/// Runs what `options` ask for; an error if any case failed.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    // Before minutes of work: files that cannot be written.
    let json = options.json.as_deref().map(create).transpose()?;
    let markdown = options.markdown.as_deref().map(create).transpose()?;
    let cores = Cores::allowed()?;
    let plan = if options.smoke {
        Plan {
            cores,
            window: options.seconds.unwrap_or(Duration::from_millis(100)),
            warm_up: Duration::from_millis(20),
            micro_window: Duration::from_millis(5),
            scale: Scale::Smoke,
        }
    } else {
        Plan {
            cores,
            window: options.seconds.unwrap_or(Duration::from_secs(3)),
            warm_up: Duration::from_millis(500),
            micro_window: Duration::from_millis(300),
            scale: Scale::Full,
        }
    };
    let default_rounds = if options.smoke { 1 } else { 5 };
    let rounds = options.rounds.map_or(default_rounds, usize::from);

    let mut report = Report::new(Description::of_this_machine()?, rounds);
    let mut failures = Vec::new();
    for case in cases(&plan, &options.only) {
        match run_case(&case, &options.peers, rounds) {
            Ok(table) => {
                say(&table.text())?;
                report.tables.push(table);
            }
            Err(error) => failures.push(error.to_string()),
        }
    }
    if let Some(mut file) = json {
        serde_json::to_writer_pretty(&file, &report)?;
        file.write_all(b"\n")?;
    }
    if let Some(mut file) = markdown {
        file.write_all(report.markdown().as_bytes())?;
    }
    say(&report.head())?;
    if failures.is_empty() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    )))
}

fn cases(plan: &Plan, only: &[Question]) -> Vec<Case> {
    Question::value_variants()
        .iter()
        .filter(|question| only.is_empty() || only.contains(question))
        .flat_map(|question| match question {
            Question::Echo => echo::cases(plan),
            Question::Churn => churn::cases(plan),
            Question::Streaming => streaming::cases(plan),
            Question::Latency => latency::cases(plan),
            Question::Idle => idle::cases(plan),
            Question::StartUp => start_up::cases(plan),
            Question::Memory => memory::cases(plan),
            Question::YieldNow => yield_now::cases(plan),
            Question::SpawnJoin => spawn_join::cases(plan),
            Question::QueuePingPong => queue_ping_pong::cases(plan),
            Question::Spsc => spsc::cases(plan),
            Question::Spawn => spawn::cases(plan),
            Question::Mutex => mutex::cases(plan),
            Question::Semaphore => semaphore::cases(plan),
            Question::Event => event::cases(plan),
            Question::Sleep => sleep::cases(plan),
        })
        .collect()
}

/// Measures every peer once a round. Each round starts with another peer, so that none always follows the
/// same neighbour.
fn run_case(case: &Case, only: &[Peer], rounds: usize) -> io::Result<Table> {
    let peers: Vec<Peer> = case
        .peers
        .iter()
        .enumerate()
        .filter(|(index, peer)| *index == 0 || only.is_empty() || only.contains(peer))
        .filter(|(_, peer)| external::is_available(**peer))
        .map(|(_, peer)| *peer)
        .collect();
    let mut samples = vec![Vec::with_capacity(rounds); peers.len()];
    for round in 0..rounds {
        for turn in 0..peers.len() {
            let index = (round + turn) % peers.len();
            let peer = peers[index];
            let label = format!("{} [{}] {peer}", case.question.name(), case.name);
            progress(&format!("{label}, round {} of {rounds}", round + 1));
            let values = (case.measure)(peer)
                .map_err(|error| io::Error::other(format!("{label}: {error}")))?;
            samples[index].push(values);
        }
    }
    let title = format!("{}: {}", case.question.name(), case.name);
    Ok(Table::new(title, case.metrics, &peers, &samples))
}

impl Question {
    /// The name that `--only` takes.
    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

fn create(path: &Path) -> io::Result<File> {
    File::create(path)
        .map_err(|error| io::Error::other(format!("cannot create `{}`: {error}", path.display())))
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// Progress goes to stderr, so that stdout is the report alone.
fn progress(text: &str) {
    // Not worth failing for.
    drop(writeln!(io::stderr(), "{text}"));
}
