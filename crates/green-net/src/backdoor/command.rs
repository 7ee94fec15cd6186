//! What a line asks for.

use std::num::NonZeroU64;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Nothing.
    Empty,
    Help,
    Ps,
    Trace(NonZeroU64),
    Kill(NonZeroU64),
    Stats,
    Quit,
    /// Not for us: the first line of an HTTP request.
    Http,
}

/// What `help` says.
pub(super) const HELP: &str = "\
help      this
ps        a line for each green thread
trace ID  where the green thread waits
kill ID   asks the green thread to die
stats     counts
quit      the end";

impl Command {
    /// # Errors
    ///
    /// What is wrong with the line.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next() else {
            return Ok(Self::Empty);
        };
        if words
            .clone()
            .next_back()
            .is_some_and(|last| last.starts_with("HTTP/"))
        {
            return Ok(Self::Http);
        }
        let argument = words.next();
        if words.next().is_some() {
            return Err("too many words".into());
        }
        match (name, argument) {
            ("help", None) => Ok(Self::Help),
            ("ps", None) => Ok(Self::Ps),
            ("stats", None) => Ok(Self::Stats),
            ("quit", None) => Ok(Self::Quit),
            ("trace", Some(id)) => Ok(Self::Trace(parse_id(id)?)),
            ("kill", Some(id)) => Ok(Self::Kill(parse_id(id)?)),
            ("trace" | "kill", None) => Err(format!("{name} needs an id, as ps shows it")),
            ("help" | "ps" | "stats" | "quit", Some(_)) => Err(format!("{name} takes no words")),
            _ => Err("unknown command: help lists them".into()),
        }
    }
}

fn parse_id(word: &str) -> Result<NonZeroU64, String> {
    let number = word.strip_prefix('#').unwrap_or(word);
    number.parse().map_err(|_| "that is no id".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_commands_or_errors() {
        let id = NonZeroU64::new(12).unwrap();
        for (line, command) in [
            ("", Command::Empty),
            (" \t", Command::Empty),
            ("  ps ", Command::Ps),
            ("trace 12", Command::Trace(id)),
            ("kill\t#12", Command::Kill(id)),
            ("quit", Command::Quit),
            ("GET / HTTP/1.1", Command::Http),
            ("kill 12 HTTP/1.1", Command::Http),
        ] {
            assert_eq!(Command::parse(line).as_ref(), Ok(&command), "{line}");
        }
        for line in [
            "PS",
            "trace",
            "trace 0",
            "kill -1",
            "kill 1 2",
            "ps 1",
            "kill 99999999999999999999",
            "\u{fffd}",
        ] {
            assert!(Command::parse(line).is_err(), "{line}");
        }
    }
}
