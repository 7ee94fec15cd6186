//! Peers that are programs of their own: how they are found, made ready, and started.
//!
//! Each understands `serve`, `micro` and `start-up`, and speaks the line protocol of [`crate::child`]. A process of
//! this binary that shall be one of them pins itself first and then becomes the program, so pinning, limits, pipes and
//! process number are those of every other peer.

use std::env;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use super::{Peer, Workers};

/// Whether `peer` can take part here. Makes it ready at the first call, and tells on stderr if that fails.
pub(crate) fn is_available(peer: Peer) -> bool {
    match peer {
        Peer::Go => *GO,
        Peer::Gevent => *GEVENT,
        _ => true,
    }
}

/// The program that is `peer`, to be given its arguments; `None` for a peer of this binary.
pub(crate) fn program(peer: Peer, workers: Workers) -> io::Result<Option<Command>> {
    let mut command = match peer {
        Peer::Go => Command::new(go_binary()?),
        Peer::Gevent => {
            let mut python = Command::new("python3");
            // Without byte code files among the sources.
            python.arg("-B").arg(sources("gevent").join("peer.py"));
            python
        }
        _ => return Ok(None),
    };
    command.env("GOMAXPROCS", workers.to_string());
    Ok(Some(command))
}

static GO: LazyLock<bool> = LazyLock::new(|| is_ready("go", build_go()));

static GEVENT: LazyLock<bool> = LazyLock::new(|| is_ready("gevent", import_gevent()));

fn is_ready(name: &str, outcome: io::Result<Readiness>) -> bool {
    let trouble = match outcome {
        Ok(Readiness::Ready) => return true,
        Ok(Readiness::NotInstalled) => "not installed".to_owned(),
        Err(error) => error.to_string(),
    };
    // Not worth failing for.
    drop(writeln!(
        io::stderr(),
        "{name}: {trouble}, skipped; see docs/benchmarks.md"
    ));
    false
}

enum Readiness {
    Ready,
    NotInstalled,
}

/// Builds the Go program next to this one. Its errors go to stderr.
fn build_go() -> io::Result<Readiness> {
    let mut build = Command::new("go");
    build
        .args(["build", "-o"])
        .arg(go_binary()?)
        .arg(".")
        .current_dir(sources("go"))
        // No C compiler, and no other version of Go than the one that is here.
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local");
    match succeeds(&mut build) {
        Ok(true) => Ok(Readiness::Ready),
        Ok(false) => Err(io::Error::other("`go build` failed")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Readiness::NotInstalled),
        Err(error) => Err(error),
    }
}

fn import_gevent() -> io::Result<Readiness> {
    let mut import = Command::new("python3");
    import.args(["-c", "import gevent"]).stderr(Stdio::null());
    match succeeds(&mut import) {
        Ok(true) => Ok(Readiness::Ready),
        Ok(false) => Ok(Readiness::NotInstalled),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Readiness::NotInstalled),
        Err(error) => Err(error),
    }
}

/// Whether `command` ends with success; an error if that takes too long.
fn succeeds(command: &mut Command) -> io::Result<bool> {
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let start = Instant::now();
    loop {
        if let Some(status) = process.try_wait()? {
            return Ok(status.success());
        }
        if start.elapsed() > LIMIT {
            // Fails only if it has just ended.
            drop(process.kill());
            process.wait()?;
            return Err(io::Error::other(format!(
                "not ready after {} s",
                LIMIT.as_secs()
            )));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Where the Go program is built: in the target directory.
fn go_binary() -> io::Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name("green-bench-go"))
}

/// The folder of a program's sources.
fn sources(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "peers", name].iter().collect()
}

/// How long a program may take to be made ready: a first `go build` compiles Go's own library.
const LIMIT: Duration = Duration::from_secs(300);
