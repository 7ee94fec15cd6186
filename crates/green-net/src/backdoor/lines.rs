//! The lines of the protocol: commands in, replies out.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read as _};

/// The longest line that is read, in bytes, without its end.
pub(super) const MOST: usize = 1_024;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// What is no UTF-8 is replaced.
    Text(String),
    /// Longer than [`MOST`]; the rest of it is not read.
    TooLong,
    /// The end. A last line without an end is a line.
    End,
}

/// Reads a line, and no further than one that is too long must be read to see that.
///
/// # Errors
///
/// What `input` says.
pub(super) fn read(input: &mut impl BufRead) -> io::Result<Line> {
    let mut line = Vec::new();
    // One with the end of a line of this length, if it has two bytes.
    let most = u64::try_from(MOST + 2).unwrap_or(u64::MAX);
    input.take(most).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(Line::End);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    if line.len() > MOST {
        return Ok(Line::TooLong);
    }
    Ok(Line::Text(String::from_utf8_lossy(&line).into_owned()))
}

/// A reply as it is sent.
pub(super) fn reply(text: &str) -> String {
    let mut reply = String::with_capacity(text.len() + 16);
    for line in text.lines() {
        let stuffed = if line.starts_with('.') { "." } else { "" };
        _ = writeln!(reply, "{stuffed}{line}");
    }
    reply.push_str(".\n");
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut input: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        loop {
            match read(&mut input).unwrap() {
                Line::End => return lines,
                line => lines.push(line),
            }
        }
    }

    #[test]
    fn lines_end_by_themselves_or_with_the_input() {
        let text = |text: &str| Line::Text(text.into());
        assert_eq!(all(b""), []);
        assert_eq!(all(b"\n\r\n"), [text(""), text("")]);
        assert_eq!(all(b"ps\r\nstats"), [text("ps"), text("stats")]);
        assert_eq!(all(b"\xff\n"), [text("\u{fffd}")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_not_read_to_its_end() {
        let most = "x".repeat(MOST);
        for end in ["\n", "\r\n", ""] {
            let input = format!("{most}{end}");
            assert_eq!(all(input.as_bytes()), [Line::Text(most.clone())]);
            let input = format!("{most}y{end}");
            assert_eq!(read(&mut input.as_bytes()).unwrap(), Line::TooLong);
        }
        let endless = &mut io::BufReader::new(io::repeat(b'x'));
        assert_eq!(read(endless).unwrap(), Line::TooLong);
    }

    #[test]
    fn a_reply_ends_with_the_only_full_stop() {
        assert_eq!(reply(""), ".\n");
        assert_eq!(reply("a\n.\n..b\n"), "a\n..\n...b\n.\n");
    }
}
