//! The program `green-load`: keeps connections to an echo server busy and measures it.
//!
//! Every connection has up to `--depth` messages on their way. If they surely fit into the buffers of
//! the two sockets, one green thread writes and reads in turn; otherwise one writes and another reads,
//! because a server that cannot write its answers stops reading.
//!
//! Message number `n` of connection `c` is a piece of one long pattern that starts at a place derived
//! from both, so that with `--verify` a byte that is lost, doubled, or somebody else's is noticed.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green::Greenlet;
use green::event::Event;
use green::lock::Semaphore;
use green::net::TcpStream;
use green::queue::Queue;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{self, ExitStatus};

/// Keeps an echo server busy, checks what it sends back, and measures it.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "green-load", version)]
pub struct Options {
    /// The server.
    #[arg(long)]
    pub connect: String,
    /// Connections.
    #[arg(long, default_value = "100")]
    pub connections: NonZeroUsize,
    /// Bytes of a message.
    #[arg(long, default_value = "64")]
    pub size: NonZeroUsize,
    /// Messages on their way, for each connection.
    #[arg(long, default_value = "1")]
    pub depth: NonZeroUsize,
    /// For how long.
    #[arg(long, default_value = "5s", value_parser = cli::duration)]
    pub duration: Duration,
    /// Compares every byte that comes back; without it they are only counted.
    #[arg(long)]
    pub verify: bool,
    /// Writes the result as JSON, and no progress bar.
    #[arg(long)]
    pub json: bool,
    /// OS threads that run green threads [default: GREEN_HUBS, or the number of cores].
    #[arg(long)]
    pub hubs: Option<NonZeroUsize>,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// Messages that came back.
    pub requests: u64,
    /// Bytes that came back.
    pub bytes: u64,
    /// Connections that failed.
    pub errors: u64,
    /// Messages that came back changed.
    pub mismatches: u64,
    /// The first failure.
    pub first_error: Option<String>,
    /// From the first message to the last.
    pub elapsed: Duration,
    /// Between the write of a message and the end of its way back, in microseconds.
    pub latency: Histogram<u64>,
}

/// The whole program: from its command line to the status to exit with.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitStatus {
    let options: Options = match cli::parse(args) {
        Ok(options) => options,
        Err(status) => return status,
    };
    cli::init_log();
    cli::raise_file_limit();
    if let Some(hubs) = options.hubs
        && let Err(error) = green::Config::new().hubs(hubs.get()).apply()
    {
        eprintln!("green-load: {error}");
        return cli::FAILURE;
    }
    let theirs = options.clone();
    let report = green::run(move || run(theirs));
    // The result is lost if standard output is closed, but the status still tells.
    report.write(&options, &mut io::stdout().lock()).ok();
    if let Some(error) = &report.first_error {
        eprintln!(
            "green-load: {} connections failed, {} messages came back changed; the first: {error}",
            report.errors, report.mismatches
        );
        return cli::FAILURE;
    }
    cli::SUCCESS
}

/// Connects, loads for as long as the options say, and waits for what is on its way.
///
/// # Blocking
///
/// Parks the caller, which must be a green thread.
///
/// # Panics
///
/// If a green thread of its own panics.
pub fn run(options: Options) -> Report {
    let options = Arc::new(options);
    let gate = Arc::new(Gate {
        connecting: Semaphore::new(CONNECTING),
        open: Event::new(),
    });
    let connected = Queue::unbounded();
    let pattern: Arc<[u8]> = pattern(options.size.get() + PATTERN_PERIOD).into();
    let clients: Vec<_> = (0..options.connections.get())
        .map(|number| {
            let options = Arc::clone(&options);
            let gate = Arc::clone(&gate);
            let connected = connected.clone();
            let pattern = Arc::clone(&pattern);
            green::spawn(move || {
                let stream = gate.connect(&options);
                connected.put(()).expect("the queue stays open");
                gate.open.wait();
                match stream {
                    Ok(stream) => Client::new(&options, pattern, number).load(stream),
                    Err(error) => Tally::failed(format!("cannot connect: {error}")),
                }
            })
        })
        .collect();
    connected.iter().take(clients.len()).for_each(drop);

    let start = Instant::now();
    gate.open.set();
    let progress = (!options.json).then(|| show_progress(options.duration));
    let mut total = Tally::new();
    for client in clients {
        match client.into_result() {
            Ok(tally) => total.add(&tally),
            Err(failure) => total.fail(failure.to_string()),
        }
    }
    let elapsed = start.elapsed();
    if let Some(progress) = progress {
        progress.join();
    }
    Report {
        requests: total.requests,
        bytes: total.requests * options.size.get() as u64,
        errors: total.errors,
        mismatches: total.mismatches,
        first_error: total.first_error,
        elapsed,
        latency: total.latency,
    }
}

impl Report {
    /// Messages that came back, for each second.
    pub fn requests_per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// Millions of bytes that came back, for each second.
    pub fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.elapsed.as_secs_f64()
    }

    fn write(&self, options: &Options, out: &mut impl Write) -> io::Result<()> {
        let percentiles = PERCENTILES.map(|(name, p)| (name, self.latency.value_at_quantile(p)));
        if options.json {
            let mut latency = serde_json::Map::new();
            for (name, micros) in percentiles {
                latency.insert(name.into(), micros.into());
            }
            latency.insert("max".into(), self.latency.max().into());
            let json = serde_json::json!({
                "connections": options.connections,
                "size": options.size,
                "depth": options.depth,
                "verified": options.verify,
                "seconds": self.elapsed.as_secs_f64(),
                "requests": self.requests,
                "requests_per_second": self.requests_per_second(),
                "megabytes_per_second": self.megabytes_per_second(),
                "latency_us": latency,
                "errors": self.errors,
                "mismatches": self.mismatches,
            });
            return writeln!(out, "{json}");
        }
        writeln!(
            out,
            "{} requests in {:.2} s: {:.0} requests/s, {:.1} MB/s",
            self.requests,
            self.elapsed.as_secs_f64(),
            self.requests_per_second(),
            self.megabytes_per_second()
        )?;
        write!(out, "latency in us:")?;
        for (name, micros) in percentiles {
            write!(out, " {name} {micros},")?;
        }
        writeln!(out, " max {}", self.latency.max())
    }
}

/// Where the connections wait for one another.
struct Gate {
    /// Connections that may be in the making, so that the server's backlog does not overflow.
    connecting: Semaphore,
    /// Set when all are made.
    open: Event,
}

impl Gate {
    fn connect(&self, options: &Options) -> io::Result<TcpStream> {
        let _turn = self.connecting.acquire();
        let stream = TcpStream::connect(options.connect.as_str())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(stream)
    }
}

/// What one connection has seen, or several.
struct Tally {
    requests: u64,
    errors: u64,
    mismatches: u64,
    first_error: Option<String>,
    /// In microseconds, exact to 1 %: it is there once for each connection, so it has to be small.
    latency: Histogram<u64>,
}

impl Tally {
    fn new() -> Self {
        Self {
            requests: 0,
            errors: 0,
            mismatches: 0,
            first_error: None,
            latency: Histogram::new(2).expect("two digits are allowed"),
        }
    }

    fn failed(error: String) -> Self {
        let mut tally = Self::new();
        tally.fail(error);
        tally
    }

    fn fail(&mut self, error: String) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.mismatches += other.mismatches;
        if self.first_error.is_none() {
            self.first_error.clone_from(&other.first_error);
        }
        self.latency
            .add(&other.latency)
            .expect("histograms that resize can be added");
    }
}

/// One connection's load.
#[derive(Clone)]
struct Client {
    pattern: Arc<[u8]>,
    /// Its number among the connections.
    number: usize,
    size: usize,
    depth: usize,
    verify: bool,
    end: Instant,
}

impl Client {
    fn new(options: &Options, pattern: Arc<[u8]>, number: usize) -> Self {
        Self {
            pattern,
            number,
            size: options.size.get(),
            depth: options.depth.get(),
            verify: options.verify,
            end: Instant::now() + options.duration,
        }
    }

    fn load(&self, stream: TcpStream) -> Tally {
        let mut tally = Tally::new();
        let result = if self.size.saturating_mul(self.depth) <= SURELY_BUFFERED {
            self.load_in_turn(&stream, &mut tally)
        } else {
            self.load_both_ways(stream, &mut tally)
        };
        if let Err(error) = result {
            tally.fail(error.to_string());
        }
        tally
    }

    /// Writes and reads in one green thread.
    fn load_in_turn(&self, mut stream: &TcpStream, tally: &mut Tally) -> io::Result<()> {
        let mut under_way = VecDeque::with_capacity(self.depth);
        let mut buffer = vec![0; self.size];
        let mut sent = 0;
        while sent < self.depth {
            under_way.push_back(Instant::now());
            stream.write_all(self.message(sent))?;
            sent += 1;
        }
        let mut received = 0;
        while let Some(begun) = under_way.pop_front() {
            self.receive(stream, &mut buffer, received, begun, tally)?;
            received += 1;
            let now = Instant::now();
            if now < self.end {
                under_way.push_back(now);
                stream.write_all(self.message(sent))?;
                sent += 1;
            }
        }
        stream.shutdown(Shutdown::Write)?;
        expect_end(stream)
    }

    /// Writes in a green thread of its own, and reads here.
    fn load_both_ways(&self, stream: TcpStream, tally: &mut Tally) -> io::Result<()> {
        let stream = Arc::new(stream);
        // As many messages are on their way as the queue holds.
        let under_way = Queue::bounded(self.depth);
        let writer: Greenlet<Result<(), (ErrorKind, String)>> = {
            let client = self.clone();
            let stream = Arc::clone(&stream);
            let under_way = under_way.clone();
            green::spawn(move || {
                let written = client.write_until_end(&stream, &under_way);
                under_way.close();
                written.map_err(|error| (error.kind(), error.to_string()))
            })
        };
        let mut buffer = vec![0; self.size];
        let mut read = Ok(());
        for (received, begun) in under_way.iter().enumerate() {
            read = self.receive(&stream, &mut buffer, received, begun, tally);
            if read.is_err() {
                writer.kill();
                break;
            }
        }
        read?;
        match writer.into_result() {
            Ok(written) => written.map_err(|(kind, text)| io::Error::new(kind, text))?,
            Err(failure) => return Err(io::Error::other(failure)),
        }
        expect_end(&stream)
    }

    fn write_until_end(
        &self,
        mut stream: &TcpStream,
        under_way: &Queue<Instant>,
    ) -> io::Result<()> {
        for number in 0.. {
            let now = Instant::now();
            if now >= self.end || under_way.put(now).is_err() {
                break;
            }
            stream.write_all(self.message(number))?;
        }
        stream.shutdown(Shutdown::Write)
    }

    fn receive(
        &self,
        mut stream: &TcpStream,
        buffer: &mut [u8],
        number: usize,
        begun: Instant,
        tally: &mut Tally,
    ) -> io::Result<()> {
        stream.read_exact(buffer)?;
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        tally
            .latency
            .record(micros.clamp(1, LONGEST_LATENCY))
            .expect("the histogram resizes");
        tally.requests += 1;
        if self.verify && buffer != self.message(number) {
            tally.mismatches += 1;
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                format!(
                    "message {number} of connection {} came back changed",
                    self.number
                ),
            ));
        }
        Ok(())
    }

    fn message(&self, number: usize) -> &[u8] {
        let start = (self.number * 31 + number) % PATTERN_PERIOD;
        &self.pattern[start..start + self.size]
    }
}

/// After the last answer the server closes its side, too.
fn expect_end(mut stream: &TcpStream) -> io::Result<()> {
    match stream.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(io::Error::new(
            ErrorKind::InvalidData,
            "more came back than was sent",
        )),
    }
}

/// Bytes without a short period: those of a xorshift generator.
fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Shows how much of the time is over, in a green thread.
fn show_progress(duration: Duration) -> Greenlet<()> {
    green::spawn(move || {
        let bar = ProgressBar::new(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        let style = ProgressStyle::with_template("{wide_bar} {elapsed} / {msg}")
            .expect("the template is right");
        bar.set_style(style);
        bar.set_message(format!("{duration:?}"));
        let start = Instant::now();
        while start.elapsed() < duration {
            bar.set_position(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
            green::sleep(PROGRESS_STEP.min(duration.saturating_sub(start.elapsed())));
        }
        bar.finish_and_clear();
    })
}

/// The quantiles that are reported.
const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// Connections in the making at one time.
const CONNECTING: usize = 256;

/// Bytes that fit into the buffers of two sockets whatever the system's settings.
const SURELY_BUFFERED: usize = 16 * 1024;

/// After how many messages the pattern starts again.
const PATTERN_PERIOD: usize = 4_099;

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What longer latencies count as, in microseconds: an hour.
const LONGEST_LATENCY: u64 = 3_600_000_000;

/// How often the progress bar moves.
const PROGRESS_STEP: Duration = Duration::from_millis(100);
