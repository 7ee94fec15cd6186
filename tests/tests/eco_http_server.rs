//! The HTTP server of the example `http_server`, over `httparse`: what a client may do to it.

#![forbid(unsafe_code)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::Greenlet;
use green_core::event::Event;
use green_core::lock::Semaphore;
use green_net::{ListenOptions, TcpListener, TcpStream};
use green_tests::{Held, alone, sockets};

#[path = "../../examples/examples/http_server/server.rs"]
mod server;

use server::{Limits, Request, Response, serve};

#[test]
fn a_request_is_answered() {
    let server = Server::start(Limits::default());
    let mut client = server.connect();
    client.send("GET /hello?x=1 HTTP/1.1\r\nHost: a\r\nX-One: 1\r\n\r\n");
    let (head, body) = client.answer();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nConnection: keep-alive\r\n"), "{head}");
    assert_eq!(body, b"GET /hello?x=1 host=a 0 B");
}

#[test]
fn a_connection_is_kept() {
    let server = Server::start(Limits::default());
    let mut client = server.connect();
    for number in 0..50 {
        client.send(&format!("GET /{number} HTTP/1.1\r\nhost: a\r\n\r\n"));
        let (_, body) = client.answer();
        assert_eq!(body, format!("GET /{number} host=a 0 B").into_bytes());
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(Limits::default());
    let mut client = server.connect();
    let mut requests = String::new();
    for number in 0..200 {
        let body = "x".repeat(number);
        requests += &format!(
            "POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {number}\r\n\r\n{body}"
        );
    }
    client.send(&requests);
    for number in 0..200 {
        let (_, body) = client.answer();
        let expected = format!("POST /{number} host=a {number} B");
        assert_eq!(body, expected.into_bytes());
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = Server::start(Limits::default());
    let mut client = server.connect();
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    for byte in request.bytes() {
        client.stream.write_all(&[byte]).unwrap();
        green_core::yield_now();
    }
    assert_eq!(client.answer().1, b"POST / host=a 3 B");
}

#[test]
fn http_1_0_closes_unless_asked_not_to() {
    let server = Server::start(Limits::default());
    let mut client = server.connect();
    client.send("GET /1 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    assert_eq!(client.answer().1, b"GET /1 host= 0 B");
    client.send("GET /2 HTTP/1.0\r\n\r\n");
    let (head, _) = client.answer();
    assert!(head.contains("Connection: close"), "{head}");
    client.expect_end();
}

#[test]
fn the_client_may_close() {
    let server = Server::start(Limits::default());
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n");
    client.answer();
    client.expect_end();
}

#[test]
fn a_head_request_gets_the_length_only() {
    let server = Server::start(Limits::default());
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let all = client.rest();
    assert!(all.contains("Content-Length: 17\r\n"), "{all}");
    assert!(all.ends_with("\r\n\r\n"), "{all}");
}

#[test]
fn a_client_that_waits_for_it_is_told_to_continue() {
    let server = Server::start(Limits::default());
    let mut client = server.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    let mut told = [0; 25];
    client.stream.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send("ok");
    assert_eq!(client.answer().1, b"PUT / host=a 2 B");
}

#[test]
fn bad_input_is_refused_and_the_connection_closed() {
    let limits = Limits {
        body: 100,
        ..Limits::default()
    };
    let server = Server::start(limits);
    let many = "X: y\r\n".repeat(65);
    let long = "y".repeat(9000);
    let cases = [
        ("400", "How?\r\n\r\n".to_owned()),
        ("400", "\u{16}\u{3}\u{1}\u{2}\0\u{1}".into()),
        ("400", "GET\r\n\r\n".into()),
        (
            "400",
            "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n".into(),
        ),
        ("400", "GET / HTTP/1.1\r\nHost: a\r\nA\0B: c\r\n\r\n".into()),
        ("400", "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n".into()),
        ("400", "GET / HTTP/1.1\r\n\r\n".into()),
        ("400", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into()),
        ("505", "GET / HTTP/2.0\r\nHost: a\r\n\r\n".into()),
        ("505", "GET / HTTP/1.2\r\nHost: a\r\n\r\n".into()),
        ("431", format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")),
        (
            "431",
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
        ),
        ("431", format!("GET /{long} HTTP/1.1\r\n")),
        ("400", length("-1")),
        ("400", length("+1")),
        ("400", length("")),
        ("400", length("1, 1")),
        ("400", length("0x10")),
        ("400", length("1\r\nContent-Length: 2")),
        ("400", length("1\r\nTransfer-Encoding: chunked")),
        ("413", length("101")),
        ("413", length("99999999999999999999999999999")),
        (
            "501",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        ),
    ];
    for (status, input) in cases {
        let mut client = server.connect();
        client.send(&input);
        let (head, _) = client.answer();
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{input:?}: {head}"
        );
        client.expect_end();
    }
    let mut client = server.connect();
    client.send(&length("1\r\nContent-Length: 1"));
    client.send("x");
    assert!(client.answer().0.contains(" 200 "), "said twice is clear");
}

#[test]
fn what_comes_before_bad_input_is_answered() {
    let server = Server::start(Limits::default());
    let mut client = server.connect();
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n");
    assert!(client.answer().0.contains(" 200 "));
    assert!(client.answer().0.contains(" 400 "));
    client.expect_end();
}

#[test]
fn a_refusal_reaches_a_client_that_still_sends() {
    let server = Server::start(Limits::default());
    let mut client = server.connect();
    client.send(&length("200000000"));
    // More than the buffers of the sockets hold would be an error once the server has closed; this is
    // less than it reads before.
    client.stream.write_all(&vec![b'x'; 200_000]).unwrap();
    assert!(client.answer().0.contains(" 413 "));
}

#[test]
fn a_head_that_stops_in_the_middle() {
    let server = Server::start(Limits::default());
    let mut client = server.connect();
    client.send("GET / HT");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert!(client.answer().0.contains(" 400 "));
    client.expect_end();

    let mut client = server.connect();
    client.send(&length("5"));
    client.send("abc");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest(), "", "there is nobody to answer");
}

#[test]
fn a_connection_has_so_many_requests() {
    let limits = Limits {
        requests: 3,
        ..Limits::default()
    };
    let server = Server::start(limits);
    let mut client = server.connect();
    client.send(&"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5));
    for number in 1..=3 {
        let (head, _) = client.answer();
        let connection = if number < 3 { "keep-alive" } else { "close" };
        assert!(
            head.contains(&format!("Connection: {connection}")),
            "{number}: {head}"
        );
    }
    client.expect_end();
}

#[test]
fn a_slow_head_or_body_is_refused_however_steadily_it_comes() {
    let limits = Limits {
        slow: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = Server::start(limits);
    for start in ["GET / HTTP/1.1\r\nX: ".to_owned(), length("1000000")] {
        let mut client = server.connect();
        client.send(&start);
        let begin = Instant::now();
        let stream = client.stream.try_clone().unwrap();
        let dripping = green_core::spawn(move || {
            while (&stream).write_all(b"x").is_ok() {
                green_core::sleep(Duration::from_millis(10));
            }
        });
        assert!(client.answer().0.contains(" 408 "));
        assert!(begin.elapsed() >= Duration::from_millis(100));
        dripping.kill();
    }
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let limits = Limits {
        idle: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Server::start(limits);
    let mut client = server.connect();
    assert_eq!(client.rest(), "", "it never said a thing");
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.answer();
    assert_eq!(client.rest(), "", "nor did it after its first request");
}

#[test]
fn a_panicking_handler_ends_its_connection_only() {
    let server = Server::start(Limits::default());
    let mut other = server.connect();
    let mut client = server.connect();
    client.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut rest = Vec::new();
    // A reset is as good as an end.
    if let Err(error) = client.stream.read_to_end(&mut rest) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(rest, b"");
    other.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(other.answer().0.contains(" 200 "));
}

#[test]
fn a_thousand_clients_keep_their_connections() {
    let _alone = alone();
    let clients = sockets(2_000) / 2;
    let held = Held::now();
    let server = Server::start(Limits::default());
    let address = server.address;
    let connecting = Arc::new(Semaphore::new(256));
    let connected = Arc::new(Semaphore::new(0));
    let go = Arc::new(Event::new());
    let handles: Vec<_> = (0..clients)
        .map(|number| {
            let connecting = Arc::clone(&connecting);
            let connected = Arc::clone(&connected);
            let go = Arc::clone(&go);
            green_core::spawn(move || {
                let permit = connecting.acquire();
                let mut client = Client::connect(address);
                drop(permit);
                connected.release();
                go.wait();
                for round in 0..5 {
                    client.send(&format!(
                        "GET /{number}/{round} HTTP/1.1\r\nHost: a\r\n\r\n"
                    ));
                    let (_, body) = client.answer();
                    let expected = format!("GET /{number}/{round} host=a 0 B");
                    assert_eq!(body, expected.into_bytes());
                }
            })
        })
        .collect();
    for _ in 0..clients {
        let one_more = connected.acquire_timeout(PATIENCE);
        one_more.expect("all clients connect").forget();
    }
    go.set();
    for client in handles {
        client.into_result().unwrap();
    }
    drop(server);
    held.check();
}

/// A request without its body, which has this `Content-Length`.
fn length(length: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

/// The server under test.
struct Server {
    address: SocketAddr,
    acceptor: Greenlet<()>,
}

impl Server {
    fn start(limits: Limits) -> Self {
        let how = ListenOptions::default().backlog(4096);
        let listener = TcpListener::bind_with("127.0.0.1:0", how).unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = green_core::spawn(move || serve(&listener, limits, handle));
        Self { address, acceptor }
    }

    fn connect(&self) -> Client {
        Client::connect(self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.acceptor.kill();
    }
}

/// Says what it was asked.
fn handle(request: &Request) -> Response {
    assert_ne!(request.target, "/panic", "as asked");
    let host = String::from_utf8_lossy(request.header("HOST").unwrap_or_default());
    let Request {
        method,
        target,
        body,
        ..
    } = request;
    Response::ok(format!("{method} {target} host={host} {} B", body.len()))
}

struct Client {
    stream: TcpStream,
    /// What has been read beyond the answers so far.
    input: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            input: Vec::new(),
        }
    }

    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// The head of the next answer, and its body.
    fn answer(&mut self) -> (String, Vec<u8>) {
        let end = loop {
            if let Some(at) = self.input.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill();
        };
        let head = String::from_utf8(self.input.drain(..end).collect()).unwrap();
        let (_, length) = head.split_once("Content-Length: ").unwrap();
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        while self.input.len() < length {
            self.fill();
        }
        (head, self.input.drain(..length).collect())
    }

    fn fill(&mut self) {
        let mut buffer = [0; 4096];
        let read = self.stream.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "there is an answer");
        self.input.extend_from_slice(&buffer[..read]);
    }

    /// Everything until the server closes.
    fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        let all = [std::mem::take(&mut self.input), rest].concat();
        String::from_utf8(all).unwrap()
    }

    fn expect_end(&mut self) {
        assert_eq!(self.rest(), "");
    }
}

/// How long a crowd may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);
