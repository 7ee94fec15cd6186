//! An HTTP/1.1 server over `httparse`: keep-alive, pipelining, and limits on everything a client can
//! make large or slow.
//!
//! # What it answers by itself
//!
//! | status | why |
//! |---|---|
//! | 400 | what came is no request; the length of its body is not clear; HTTP/1.1 without one `Host` |
//! | 408 | a head or a body that took too long |
//! | 413 | a body that is too large |
//! | 431 | a head that is too large, or has too many headers |
//! | 501 | a body in a transfer encoding, such as chunks |
//! | 505 | a version other than 1.0 and 1.1 |
//!
//! After each of these it closes the connection, because nobody knows where the next request begins. A
//! connection on which nothing comes for [`Limits::idle`] is closed without a word.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use green::net::{TcpListener, TcpStream};
use httparse::{EMPTY_HEADER, Status};

/// What a client may ask of the server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest head of a request, in bytes.
    pub head: usize,
    /// The largest body, in bytes.
    pub body: usize,
    /// Requests on one connection.
    pub requests: usize,
    /// How long a head may take from its first byte on, and a body after its head.
    pub slow: Duration,
    /// How long nothing may come between two requests, and how long an answer may fail to leave.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 8 * 1024,
            body: 1024 * 1024,
            requests: 1000,
            slow: Duration::from_secs(10),
            idle: Duration::from_secs(60),
        }
    }
}

/// A request, whole.
#[derive(Debug)]
pub struct Request {
    /// As it came: methods are told apart by case.
    pub method: String,
    /// Path and query, or what else stood there.
    pub target: String,
    /// Names as they came, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Empty if there was none.
    pub body: Vec<u8>,
    /// The connection may be used again afterwards, as far as the client is concerned.
    keep_alive: bool,
}

impl Request {
    /// The first header called `name`, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        headers(&self.headers, name).next()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code and reason.
    pub status: &'static str,
    /// Sent with its length; not at all in answer to `HEAD`.
    pub body: Vec<u8>,
}

impl Response {
    /// 200, with `body`.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: "200 OK",
            body: body.into(),
        }
    }

    /// `status`, which is also the body.
    pub fn error(status: &'static str) -> Self {
        Self {
            status,
            body: format!("{status}\n").into(),
        }
    }
}

/// Accepts for ever, and serves each connection in a green thread of its own. Killed, it closes the
/// listener; connections go on until they end.
///
/// A panic of `handler` ends its connection only.
pub fn serve(
    listener: &TcpListener,
    limits: Limits,
    handler: impl Fn(&Request) -> Response + Clone + Send + 'static,
) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => {
                let handler = handler.clone();
                // An error ended the connection; the client knows.
                green::spawn(move || Connection::new(&stream, limits).serve(handler).ok());
            }
            Err(error) => {
                log::warn!("cannot accept: {error}");
                green::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Why there is no request.
enum Failed {
    /// The client has hung up between two requests, or has been idle.
    Over,
    /// It gets this answer, and no other.
    Refused(&'static str),
    /// Nothing can be answered.
    Io(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A connection and what has been read of it.
struct Connection<'a> {
    stream: &'a TcpStream,
    limits: Limits,
    /// What has been read and not used yet: pipelined requests, too.
    input: Vec<u8>,
    /// Answers that have not been sent: those to pipelined requests leave together.
    output: Vec<u8>,
}

impl<'a> Connection<'a> {
    fn new(stream: &'a TcpStream, limits: Limits) -> Self {
        Self {
            stream,
            limits,
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    fn serve(mut self, handler: impl Fn(&Request) -> Response) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        self.stream.set_write_timeout(Some(self.limits.idle))?;
        for number in 1..=self.limits.requests {
            let request = match self.request() {
                Ok(request) => request,
                Err(Failed::Over) => return Ok(()),
                Err(Failed::Refused(status)) => {
                    self.answer(&Response::error(status), true, false);
                    self.flush()?;
                    return self.hang_up();
                }
                Err(Failed::Io(error)) => return Err(error),
            };
            let response = handler(&request);
            let keep_alive = request.keep_alive && number < self.limits.requests;
            self.answer(&response, request.method != "HEAD", keep_alive);
            if !keep_alive {
                break;
            }
        }
        self.flush()?;
        self.hang_up()
    }

    /// The next request.
    fn request(&mut self) -> Result<Request, Failed> {
        let Limits { slow, idle, .. } = self.limits;
        let (mut request, length) = match self.take_head()? {
            Some(pipelined) => pipelined,
            None => {
                self.flush()?;
                if self.input.is_empty() {
                    let more = green::timeout(idle, || self.fill());
                    if !more.unwrap_or(Ok(false))? {
                        return Err(Failed::Over);
                    }
                }
                green::timeout(slow, || self.read_head()).map_err(|_| TOO_SLOW)??
            }
        };
        if self.input.len() < length {
            if expects_continue(&request) {
                self.output
                    .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            self.flush()?;
            green::timeout(slow, || self.read_body(length)).map_err(|_| TOO_SLOW)??;
        }
        let rest = self.input.split_off(length);
        request.body = std::mem::replace(&mut self.input, rest);
        Ok(request)
    }

    /// Reads until there is the head of a request, and takes that.
    fn read_head(&mut self) -> Result<(Request, usize), Failed> {
        loop {
            if let Some(head) = self.take_head()? {
                return Ok(head);
            }
            if !self.fill()? {
                return Err(Failed::Refused(BAD));
            }
        }
    }

    /// Takes the head of a request, with the length of its body, from what has been read.
    fn take_head(&mut self) -> Result<Option<(Request, usize)>, Failed> {
        let Some((request, length, end)) = parse(&self.input, &self.limits)? else {
            return Ok(None);
        };
        self.input.drain(..end);
        Ok(Some((request, length)))
    }

    fn read_body(&mut self, length: usize) -> Result<(), Failed> {
        while self.input.len() < length {
            if !self.fill()? {
                return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
            }
        }
        Ok(())
    }

    /// Reads more; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        // On the stack, where it costs nothing while the connection is idle between two requests.
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => {
                    let read = read?;
                    self.input.extend_from_slice(&buffer[..read]);
                    return Ok(read > 0);
                }
            }
        }
    }

    fn answer(&mut self, response: &Response, with_body: bool, keep_alive: bool) {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
            response.status,
            response.body.len(),
        );
        self.output.extend_from_slice(head.as_bytes());
        if with_body {
            self.output.extend_from_slice(&response.body);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output)?;
            self.output.clear();
        }
        Ok(())
    }

    /// Closes so that the client gets the last answer: closing with unread input would reset the
    /// connection, and the answer with it. So what still comes is read, for a while.
    fn hang_up(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        let drained = green::timeout(LINGER, || {
            let mut left = LINGER_BYTES;
            let mut buffer = [0; 4096];
            while left > 0 {
                match self.stream.read(&mut buffer)? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
            Ok(())
        });
        // A client that goes on after that does not care.
        drained.unwrap_or(Ok(()))
    }
}

/// A request without its body, the length of that, and where its head ends; `None` if that has not come
/// yet.
fn parse(input: &[u8], limits: &Limits) -> Result<Option<(Request, usize, usize)>, Failed> {
    let mut storage = [EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut storage);
    let end = match parsed.parse(input) {
        Ok(Status::Complete(end)) if end <= limits.head => end,
        Ok(Status::Partial) if input.len() < limits.head => return Ok(None),
        Ok(_) => return Err(Failed::Refused(TOO_LARGE)),
        Err(httparse::Error::TooManyHeaders) => return Err(Failed::Refused(TOO_LARGE)),
        Err(httparse::Error::Version) => return Err(Failed::Refused(VERSION)),
        Err(_) => return Err(Failed::Refused(BAD)),
    };
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Failed::Refused(BAD));
    };
    let all: Vec<_> = parsed
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), header.value.to_owned()))
        .collect();
    if version == 1 && headers(&all, "host").count() != 1 {
        return Err(Failed::Refused(BAD));
    }
    let length = body_length(&all)?;
    if length > limits.body {
        return Err(Failed::Refused("413 Content Too Large"));
    }
    let keep_alive = if version == 1 {
        !has_token(&all, "connection", "close")
    } else {
        has_token(&all, "connection", "keep-alive")
    };
    let request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: all,
        body: Vec::new(),
        keep_alive,
    };
    Ok(Some((request, length, end)))
}

/// How long the body is. Two answers to that are how requests are smuggled past a proxy, so there must
/// be one.
fn body_length(all: &[(String, Vec<u8>)]) -> Result<usize, Failed> {
    let is_encoded = headers(all, "transfer-encoding").next().is_some();
    let mut lengths = headers(all, "content-length");
    let Some(length) = lengths.next() else {
        return if is_encoded {
            Err(Failed::Refused("501 Not Implemented"))
        } else {
            Ok(0)
        };
    };
    let is_number = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    if is_encoded || !is_number || lengths.any(|other| other != length) {
        return Err(Failed::Refused(BAD));
    }
    // A number that does not fit is too large for any limit.
    let length = str::from_utf8(length)
        .ok()
        .and_then(|digits| digits.parse().ok());
    Ok(length.unwrap_or(usize::MAX))
}

fn expects_continue(request: &Request) -> bool {
    has_token(&request.headers, "expect", "100-continue")
}

fn headers<'a>(all: &'a [(String, Vec<u8>)], name: &str) -> impl Iterator<Item = &'a [u8]> {
    all.iter()
        .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_slice())
}

fn has_token(all: &[(String, Vec<u8>)], name: &str, token: &str) -> bool {
    headers(all, name)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .any(|one| one.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

const TOO_SLOW: Failed = Failed::Refused("408 Request Timeout");
const BAD: &str = "400 Bad Request";
const TOO_LARGE: &str = "431 Request Header Fields Too Large";
const VERSION: &str = "505 HTTP Version Not Supported";

/// The most headers of a request.
const MAX_HEADERS: usize = 64;

/// How long, and for how many bytes, a connection that is being closed is read.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;
