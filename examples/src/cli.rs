//! Command lines, and what a program with many sockets sets up first.

use std::ffi::OsString;
use std::time::Duration;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How a program ends.
pub type ExitStatus = u8;

/// It did what it was asked for.
pub const SUCCESS: ExitStatus = 0;

/// It could not.
pub const FAILURE: ExitStatus = 1;

/// It was not asked properly.
pub const USAGE: ExitStatus = 2;

/// A second signal ended it.
pub const INTERRUPTED: ExitStatus = 130;

/// Parses a command line.
///
/// # Errors
///
/// The line was wrong, which is now said in one line on standard error, or it asked for help, which is
/// now on standard output. The status to exit with.
pub fn parse<P: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<P, ExitStatus> {
    P::try_parse_from(args).map_err(|error| {
        if !error.use_stderr() {
            // Nobody is left to be told that the help could not be written.
            error.print().ok();
            return SUCCESS;
        }
        // The usage and the hints follow after an empty line.
        let text = error.to_string();
        let lines: Vec<_> = text
            .lines()
            .map(str::trim)
            .take_while(|line| !line.is_empty())
            .collect();
        eprintln!("{}", lines.join(" "));
        USAGE
    })
}

/// A span of time: a number with one of the units `us`, `ms`, `s`, `m` and `h`, as in `1.5s`.
///
/// # Errors
///
/// What is wrong with it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(green_examples::cli::duration("250ms"), Ok(Duration::from_millis(250)));
/// assert_eq!(green_examples::cli::duration("1.5m"), Ok(Duration::from_secs(90)));
/// assert!(green_examples::cli::duration("10").is_err());
/// assert!(green_examples::cli::duration("-1s").is_err());
/// ```
pub fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .ok_or("a unit is missing, as in 30s (us, ms, s, m, h)")?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("'{unit}' is not one of the units us, ms, s, m, h")),
    };
    let number: f64 = number
        .trim()
        .parse()
        .map_err(|_| format!("'{number}' is not a number"))?;
    let duration =
        Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        return Err("it must be longer than nothing".into());
    }
    Ok(duration)
}

/// Raises the soft limit on open files to the hard one; returns the limit that is then in force.
pub fn raise_file_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(error) => {
            log::warn!("cannot raise the limit on open files: {error}");
            limit.current
        }
    };
    now.and_then(|files| files.try_into().ok())
        .unwrap_or(usize::MAX)
}

/// Logs to standard error as `RUST_LOG` says; warnings and errors without it.
pub fn init_log() {
    // A test may have set up the log before.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn"))
        .try_init()
        .ok();
}
