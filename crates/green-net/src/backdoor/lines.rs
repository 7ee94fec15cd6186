//! The lines of the protocol: commands in, replies out.

use std::fmt::Write as _;
use std::io::{self, BufRead};

/// The longest line that is read, in bytes, without its end.
pub(super) const MOST: usize = 1_024;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// What is no UTF-8 is replaced.
    Text(String),
    /// Longer than [`MOST`]; all of it was read.
    TooLong,
    /// The end. A last line without an end is a line.
    End,
}

/// Reads a line, and keeps no more than [`MOST`] bytes of it.
///
/// # Errors
///
/// What `input` says.
pub(super) fn read(input: &mut impl BufRead) -> io::Result<Line> {
    let (mut line, mut len) = (Vec::new(), 0);
    loop {
        let read = input.fill_buf()?;
        if read.is_empty() && len == 0 {
            return Ok(Line::End);
        }
        let end = read.iter().position(|&byte| byte == b'\n');
        let part = &read[..end.unwrap_or(read.len())];
        let room = MOST + 1 - line.len();
        line.extend_from_slice(&part[..part.len().min(room)]);
        len += part.len();
        let (is_last, consumed) = (read.is_empty(), part.len() + usize::from(end.is_some()));
        input.consume(consumed);
        if end.is_some() || is_last {
            break;
        }
    }
    if line.last() == Some(&b'\r') && len == line.len() {
        line.pop();
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
    fn a_line_that_is_too_long_is_passed_over() {
        let most = "x".repeat(MOST);
        let input = format!("{most}\r\n{most}y\n{most}{most}\nps\n{most}{most}");
        let lines = all(input.as_bytes());
        let text = |text: &str| Line::Text(text.into());
        let expected = [
            text(&most),
            Line::TooLong,
            Line::TooLong,
            text("ps"),
            Line::TooLong,
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_reply_ends_with_the_only_full_stop() {
        assert_eq!(reply(""), ".\n");
        assert_eq!(reply("a\n.\n..b\n"), "a\n..\n...b\n.\n");
    }
}
