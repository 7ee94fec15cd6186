//! What the benchmarks ask of the operating system: cores, limits, CPU time, resident memory.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Who decides which core a measured process runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Placement {
    /// The benchmark: what is measured has one core, the load generator another.
    Pinned,
    /// The kernel, which may move them at any time.
    Unpinned,
}

impl fmt::Display for Placement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Pinned => "pinned",
            Self::Unpinned => "unpinned",
        })
    }
}

/// The two cores of a measurement; `None` leaves the choice to the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// Runs what is measured.
    pub(crate) server: Option<usize>,
    /// Runs the load generator; the same core on a machine with one.
    pub(crate) client: Option<usize>,
}

impl Cores {
    /// What `placement` means here.
    pub(crate) fn of(placement: Placement) -> io::Result<Self> {
        match placement {
            Placement::Pinned => Self::first_two(),
            Placement::Unpinned => Ok(Self {
                server: None,
                client: None,
            }),
        }
    }

    /// The first two cores that this process may use.
    fn first_two() -> io::Result<Self> {
        let set = sched_getaffinity(None)?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core));
        let server = allowed
            .next()
            .ok_or_else(|| io::Error::other("this process may run on no core"))?;
        Ok(Self {
            server: Some(server),
            client: allowed.next().or(Some(server)),
        })
    }
}

/// Pins the calling thread, and every thread it starts from now on, to `core`; `None` leaves it as it is.
pub(crate) fn pin(core: Option<usize>) -> io::Result<()> {
    let Some(core) = core else { return Ok(()) };
    if core >= CpuSet::MAX_CPU {
        return Err(io::Error::other(format!("there is no core {core}")));
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set)
        .map_err(|error| io::Error::other(format!("cannot pin to core {core}: {error}")))
}

/// Raises the soft limit of open files to the hard one, and returns it (`u64::MAX` when there is none).
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised)?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Usage {
    /// CPU time of all threads, user and system mode, in nanoseconds; exact.
    pub(crate) cpu_nanos: u64,
    /// The part in user mode, in nanoseconds; the kernel estimates it from clock ticks.
    pub(crate) user_nanos: u64,
    /// Resident memory, in bytes.
    pub(crate) resident_bytes: u64,
}

impl Usage {
    /// Of the calling process, now.
    pub(crate) fn now() -> io::Result<Self> {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Ok(Self {
            cpu_nanos: cpu.tv_sec.unsigned_abs() * 1_000_000_000 + cpu.tv_nsec.unsigned_abs(),
            user_nanos: user_nanos()?,
            resident_bytes: resident_bytes()?,
        })
    }
}

/// The machine and the build, for the head of a report.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Description {
    /// The processor's model name.
    processor: String,
    /// How many cores this process may use.
    cores: u32,
    /// The kernel's name and release.
    kernel: String,
    /// The compiler found on this machine's path.
    rustc: String,
    /// The commit checked out here, with `-dirty` when files differ from it.
    commit: String,
    /// The peers with their versions: crates as locked when this binary was built, programs as installed here.
    peers: BTreeMap<String, String>,
}

impl Description {
    /// Of this machine; what cannot be found out is "unknown".
    pub(crate) fn of_this_machine() -> io::Result<Self> {
        let uname = rustix::system::uname();
        Ok(Self {
            processor: processor().unwrap_or_else(unknown),
            cores: sched_getaffinity(None)?.count(),
            kernel: format!(
                "{} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy()
            ),
            rustc: output_of("rustc", &["--version"]).unwrap_or_else(unknown),
            commit: output_of("git", &["describe", "--always", "--dirty"]).unwrap_or_else(unknown),
            peers: peer_versions(),
        })
    }

    /// The lines of a report's head.
    pub(crate) fn lines(&self) -> Vec<String> {
        let peers: Vec<String> = self
            .peers
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        vec![
            format!("{}, {} cores, {}", self.processor, self.cores, self.kernel),
            format!("{}, commit {}", self.rustc, self.commit),
            peers.join(", "),
        ]
    }
}

/// User-mode CPU time of this process. `/proc/self/stat` counts it in clock ticks.
fn user_nanos() -> io::Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is the command in parentheses and may contain spaces; utime is the 14th of all.
    stat.rsplit_once(')')
        .and_then(|(_, fields)| fields.split_whitespace().nth(11))
        .and_then(|ticks| ticks.parse::<u64>().ok())
        .map(|ticks| ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second())
        .ok_or_else(|| io::Error::other("cannot read utime from /proc/self/stat"))
}

/// Resident memory of this process: walks the page tables, so it is exact where `VmRSS` is approximate.
fn resident_bytes() -> io::Result<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    rollup
        .lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|kib| kib.trim().parse::<u64>().ok())
        .map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("cannot read Rss from /proc/self/smaps_rollup"))
}

/// The peak of this process's resident memory so far, in bytes.
pub(crate) fn peak_resident_bytes() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|kib| kib.trim().parse::<u64>().ok())
        .map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("cannot read VmHWM from /proc/self/status"))
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Those of the peers that are here.
fn peer_versions() -> BTreeMap<String, String> {
    let crates = PEER_CRATES.iter().map(|name| {
        let version = locked_version(LOCK_FILE, name);
        (*name, version.map_or_else(unknown, str::to_owned))
    });
    let go = output_of("go", &["env", "GOVERSION"])
        .map(|version| ("go", version.trim_start_matches("go").to_owned()));
    let gevent = output_of("python3", &["-c", PRINT_GEVENT]).map(|version| ("gevent", version));
    crates
        .chain(go)
        .chain(gevent)
        .map(|(name, version)| (name.to_owned(), version))
        .collect()
}

/// The version of `package` in the text of a lock file.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("\nname = \"{package}\"\nversion = \""))?;
    rest.split_once('"').map(|(version, _)| version)
}

fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// The crates behind the peers, this project apart: the commit says what that was.
const PEER_CRATES: &[&str] = &["may", "smol", "tokio"];

/// Prints gevent's version, and Python's.
const PRINT_GEVENT: &str = "import gevent, platform; \
    print(gevent.__version__, 'on Python', platform.python_version())";

/// What this binary was built with.
const LOCK_FILE: &str = include_str!("../../Cargo.lock");

#[cfg(test)]
mod tests {
    use super::{LOCK_FILE, PEER_CRATES, locked_version};

    #[test]
    fn the_lock_file_names_the_peers() {
        for name in PEER_CRATES {
            assert!(locked_version(LOCK_FILE, name).is_some(), "{name}");
        }
        assert_eq!(locked_version(LOCK_FILE, "no-such-crate"), None);
    }

    #[test]
    fn a_name_is_matched_whole() {
        let lock = "\n[[package]]\nname = \"may_queue\"\nversion = \"0.1.0\"\n\
                    \n[[package]]\nname = \"may\"\nversion = \"0.3.51\"\n";
        assert_eq!(locked_version(lock, "may"), Some("0.3.51"));
    }
}
