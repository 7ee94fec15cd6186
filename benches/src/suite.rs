//! The rounds: runs every case on every peer in turn and reports what came out.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum as _;

use crate::cli::{Options, Placements, Question};
use crate::docs::Docs;
use crate::machine::{Cores, Description, Placement};
use crate::peers::{Peer, external};
use crate::report::{Metric, Report, Subject, Table};
use crate::{
    churn, echo, event, futures, idle, latency, memory, mutex, pool_map, queue_ping_pong,
    semaphore, sleep, spawn, spawn_join, spsc, start_up, streaming, uncontended, yield_now,
};

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Who decides where to run.
    pub(crate) placement: Placement,
    /// Where to run; what `placement` means here.
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

impl Case {
    /// Whether `other` asks the same, perhaps placed otherwise.
    fn is_same(&self, other: &Self) -> bool {
        self.question == other.question && self.name == other.name
    }
}

/// Does what `options` ask for: measures or reads, then tells and writes; an error if any case failed.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    // Before minutes of work: files that cannot be written.
    let markdown = options.markdown.as_deref().map(create).transpose()?;
    let docs = options.docs.as_deref().map(Docs::open).transpose()?;

    let report = match &options.from {
        Some(path) => {
            let report = Report::read(path)?;
            for table in &report.tables {
                say(&table.text())?;
            }
            report
        }
        None => measure(options)?,
    };
    say(&format!("\n{}", report.head()))?;
    if let Some(path) = &options.json {
        say(&format!("wrote {}", path.display()))?;
    }
    if let (Some(path), Some(mut file)) = (&options.markdown, markdown) {
        file.write_all(report.markdown().as_bytes())?;
        say(&format!("wrote {}", path.display()))?;
    }
    if !report.failures.is_empty() {
        // A page without what failed would look whole.
        return Err(io::Error::other(format!(
            "{} failed:\n{}",
            report.failures.len(),
            report.failures.join("\n")
        )));
    }
    if let Some(docs) = docs {
        for path in docs.write(&report)? {
            say(&format!("wrote {}", path.display()))?;
        }
    }
    Ok(())
}

/// Runs the cases that `options` ask for and tells of each as it ends.
fn measure(options: &Options) -> io::Result<Report> {
    let plan = Plan::of(options)?;
    let default_rounds = if options.smoke { 1 } else { 5 };
    let rounds = options.rounds.map_or(default_rounds, usize::from);
    let mut report = Report::new(Description::of_this_machine()?, rounds);
    if let Some(path) = &options.json {
        write(path, &report.json()?)?;
    }
    for (placement, case) in jobs(&plan, options)? {
        let (table, failures) = run_case(&case, placement, &options.peers, rounds);
        report.failures.extend(failures);
        if let Some(table) = table {
            say(&table.text())?;
            report.tables.push(table);
        }
        // After each case, so that a run that is broken off leaves what it has found out.
        if let Some(path) = &options.json {
            write(path, &report.json()?)?;
        }
    }
    Ok(report)
}

impl Plan {
    fn of(options: &Options) -> io::Result<Self> {
        let placement = Placement::Pinned;
        let cores = Cores::of(placement)?;
        Ok(if options.smoke {
            Self {
                placement,
                cores,
                window: options.seconds.unwrap_or(Duration::from_millis(100)),
                warm_up: Duration::from_millis(20),
                micro_window: Duration::from_millis(5),
                scale: Scale::Smoke,
            }
        } else {
            Self {
                placement,
                cores,
                window: options.seconds.unwrap_or(Duration::from_secs(3)),
                warm_up: Duration::from_millis(500),
                micro_window: Duration::from_millis(300),
                scale: Scale::Full,
            }
        })
    }

    /// The same amounts, placed otherwise.
    fn placed(self, placement: Placement) -> io::Result<Self> {
        Ok(Self {
            placement,
            cores: Cores::of(placement)?,
            ..self
        })
    }
}

/// The cases to run with their placements, question by question.
fn jobs(plan: &Plan, options: &Options) -> io::Result<Vec<(Placement, Case)>> {
    let mut jobs: Vec<(Placement, Case)> = Vec::new();
    for question in Question::value_variants() {
        if !options.only.is_empty() && !options.only.contains(question) {
            continue;
        }
        let placements = options.placement.unwrap_or(question.placements());
        for &placement in placements.list() {
            let mut cases = question.cases(&plan.placed(placement)?);
            if options.smoke && options.placement.is_none() {
                // Once is enough; what can only be asked unpinned shows that unpinned runs.
                cases.retain(|case| !jobs.iter().any(|(_, asked)| asked.is_same(case)));
            }
            jobs.extend(cases.into_iter().map(|case| (placement, case)));
        }
    }
    Ok(jobs)
}

/// Measures every peer once a round. Each round starts with another peer, so that none always follows the
/// same neighbour.
///
/// A peer that fails takes no further part and has no row; the failures come beside the table. If it was to be
/// the one that ratios refer to, the next one is.
fn run_case(
    case: &Case,
    placement: Placement,
    only: &[Peer],
    rounds: usize,
) -> (Option<Table>, Vec<String>) {
    let subject = Subject {
        question: case.question.name(),
        case: case.name.clone(),
        placement,
    };
    let peers: Vec<Peer> = case
        .peers
        .iter()
        .enumerate()
        .filter(|(index, peer)| *index == 0 || only.is_empty() || only.contains(peer))
        .filter(|(_, peer)| external::is_available(**peer))
        .map(|(_, peer)| *peer)
        .collect();
    let mut samples: Vec<Vec<Vec<f64>>> = vec![Vec::with_capacity(rounds); peers.len()];
    let mut failures = Vec::new();
    for round in 0..rounds {
        for turn in 0..peers.len() {
            let index = (round + turn) % peers.len();
            let peer = peers[index];
            if samples[index].len() < round {
                // It has failed.
                continue;
            }
            progress(&format!(
                "{subject}: {peer}, round {} of {rounds}",
                round + 1
            ));
            match (case.measure)(peer) {
                Ok(values) => samples[index].push(values),
                Err(error) => failures.push(format!("{subject}: {peer}: {error}")),
            }
        }
    }
    let (peers, samples): (Vec<Peer>, Vec<_>) = peers
        .into_iter()
        .zip(samples)
        .filter(|(_, samples)| samples.len() == rounds)
        .unzip();
    if peers.is_empty() {
        return (None, failures);
    }
    match Table::new(subject.clone(), case.metrics, &peers, &samples) {
        Ok(table) => (Some(table), failures),
        Err(error) => {
            failures.push(format!("{subject}: {error}"));
            (None, failures)
        }
    }
}

impl Question {
    /// The name that `--only` takes.
    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What is asked unless `--placement` says otherwise. It makes a difference where two processes work at
    /// the same time: the network questions, except those about servers that are idle, and a mutex between two workers.
    fn placements(self) -> Placements {
        match self {
            Self::Echo
            | Self::Churn
            | Self::Streaming
            | Self::Latency
            | Self::Mutex
            | Self::Futures => Placements::Both,
            Self::Idle
            | Self::StartUp
            | Self::Memory
            | Self::YieldNow
            | Self::SpawnJoin
            | Self::PoolMap
            | Self::QueuePingPong
            | Self::Spsc
            | Self::Spawn
            | Self::Semaphore
            | Self::Event
            | Self::Uncontended
            | Self::Sleep => Placements::Pinned,
        }
    }

    /// The tables of this question, as far as `plan` allows them.
    fn cases(self, plan: &Plan) -> Vec<Case> {
        match self {
            Self::Echo => echo::cases(plan),
            Self::Churn => churn::cases(plan),
            Self::Streaming => streaming::cases(plan),
            Self::Latency => latency::cases(plan),
            Self::Idle => idle::cases(plan),
            Self::StartUp => start_up::cases(plan),
            Self::Memory => memory::cases(plan),
            Self::YieldNow => yield_now::cases(plan),
            Self::SpawnJoin => spawn_join::cases(plan),
            Self::PoolMap => pool_map::cases(plan),
            Self::QueuePingPong => queue_ping_pong::cases(plan),
            Self::Spsc => spsc::cases(plan),
            Self::Spawn => spawn::cases(plan),
            Self::Mutex => mutex::cases(plan),
            Self::Semaphore => semaphore::cases(plan),
            Self::Event => event::cases(plan),
            Self::Uncontended => uncontended::cases(plan),
            Self::Futures => futures::cases(plan),
            Self::Sleep => sleep::cases(plan),
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    File::create(path)
        .map_err(|error| io::Error::other(format!("cannot create `{}`: {error}", path.display())))
}

/// Replaces the file.
fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)
        .map_err(|error| io::Error::other(format!("cannot write `{}`: {error}", path.display())))
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// Progress goes to stderr, so that stdout is the report alone.
fn progress(text: &str) {
    // Not worth failing for.
    drop(writeln!(io::stderr(), "{text}"));
}

#[cfg(test)]
mod tests {
    use std::{io, iter};

    use clap::Parser as _;

    use super::{Case, Plan, jobs, run_case};
    use crate::cli::{Arguments, Question};
    use crate::machine::Placement;
    use crate::peers::Peer;
    use crate::report::{Better, Metric};

    /// What would run: question and placement.
    fn jobs_of(arguments: &[&str]) -> Vec<(String, Placement)> {
        let arguments = iter::once("green-benches").chain(arguments.iter().copied());
        let options = Arguments::try_parse_from(arguments).unwrap().options;
        let jobs = jobs(&Plan::of(&options).unwrap(), &options).unwrap();
        jobs.iter()
            .map(|(placement, case)| (case.question.name(), *placement))
            .collect()
    }

    #[test]
    fn the_network_questions_run_pinned_and_unpinned_the_others_pinned() {
        let jobs = jobs_of(&[]);
        let unpinned = |question: &str| jobs.contains(&(question.to_owned(), Placement::Unpinned));
        assert!(
            ["echo", "churn", "streaming", "latency"]
                .iter()
                .all(|name| unpinned(name))
        );
        assert!(!unpinned("yield_now") && !unpinned("memory") && !unpinned("start_up"));
        assert!(jobs.is_sorted_by_key(|(question, _)| {
            jobs.iter().position(|(other, _)| other == question)
        }));
    }

    #[test]
    fn two_workers_run_unpinned_only() {
        let count = |placement| jobs_of(&["--only", "echo", "--placement", placement]).len();
        assert_eq!(count("unpinned"), count("pinned") + 1);
        assert_eq!(count("both"), count("unpinned") + count("pinned"));
    }

    #[test]
    fn placement_can_be_chosen_for_any_question() {
        let name = || "yield_now".to_owned();
        let chosen = |placement| jobs_of(&["--only", "yield_now", "--placement", placement]);
        assert_eq!(chosen("unpinned"), [(name(), Placement::Unpinned)]);
        let both = [(name(), Placement::Pinned), (name(), Placement::Unpinned)];
        assert_eq!(chosen("both"), both);
    }

    #[test]
    fn a_smoke_run_has_each_case_once_pinned_where_that_is_possible() {
        let mut smoke = jobs_of(&["--smoke"]);
        let before = smoke.len();
        smoke.retain(|(_, placement)| *placement == Placement::Pinned);
        // Two OS threads: echo, churn, a mutex, and two questions about futures.
        assert_eq!(smoke.len(), before - 5);
        assert_eq!(smoke, jobs_of(&["--smoke", "--placement", "pinned"]));
    }

    /// A case in which `failing` fail in every round; the others measure one.
    fn failing(failing: &'static [Peer]) -> Case {
        Case {
            question: Question::Echo,
            name: "64 B".to_owned(),
            metrics: &[Metric {
                name: "ns",
                better: Better::Lower,
            }],
            peers: &[Peer::Epoll, Peer::May, Peer::Green],
            measure: Box::new(move |peer| match failing.contains(&peer) {
                true => Err(io::Error::other("no reply")),
                false => Ok(vec![1.0]),
            }),
        }
    }

    #[test]
    fn a_peer_that_fails_costs_its_own_row_only() {
        let case = failing(&[Peer::May]);
        let (table, failures) = run_case(&case, Placement::Pinned, &[], 3);
        let rows = table.unwrap().rows;
        let peers: Vec<&str> = rows.iter().map(|row| row.peer.as_str()).collect();
        assert_eq!(peers, ["epoll", "green"]);
        assert_eq!(failures, ["echo: 64 B (pinned): may: no reply"]);
    }

    #[test]
    fn without_any_peer_there_is_no_table() {
        let case = failing(&[Peer::Epoll, Peer::May, Peer::Green]);
        let (table, failures) = run_case(&case, Placement::Pinned, &[], 2);
        assert_eq!(table, None);
        assert_eq!(failures.len(), 3);
    }
}
