//! `ureq` over green sockets: the transport of the example `ureq_client`.

#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::{Config, Failure, Greenlet};
use green_net::{ListenOptions, TcpListener, TcpStream};
use green_tests::{Held, alone, eventually, sockets};
use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;
use ureq::{Agent, Error, Timeout};

#[path = "../../examples/examples/ureq_client/transport.rs"]
mod transport;

#[test]
fn a_thousand_requests_at_once_on_one_hub() {
    let _alone = alone();
    Config::new().hubs(1).apply().ok();
    let requests = sockets(2_000) / 2;
    let held = Held::now();
    let arrived = Arc::new(Semaphore::new(0));
    let all_are_there = Arc::new(Event::new());
    let server = {
        let (arrived, all_are_there) = (Arc::clone(&arrived), Arc::clone(&all_are_there));
        Server::start(move |stream, path| {
            arrived.release();
            all_are_there.wait();
            answer(stream, &format!("the answer to {path}"))
        })
    };
    let agent = transport::agent(Agent::config_builder().build());
    let handles: Vec<_> = (0..requests)
        .map(|number| {
            let agent = agent.clone();
            let url = server.url(&format!("/{number}"));
            green_core::spawn(move || get(&agent, &url).unwrap())
        })
        .collect();
    for _ in 0..requests {
        let one_more = arrived.acquire_timeout(PATIENCE);
        one_more.expect("all requests arrive").forget();
    }
    all_are_there.set();
    for (number, handle) in handles.into_iter().enumerate() {
        let body = handle.into_result().unwrap();
        assert_eq!(body, format!("the answer to /{number}"));
    }
    drop((agent, server));
    held.check();
}

#[test]
fn a_connection_is_used_again() {
    let server = Server::start(answer);
    let agent = transport::agent(Agent::config_builder().build());
    for number in 0..20 {
        let path = format!("/{number}");
        assert_eq!(get(&agent, &server.url(&path)).unwrap(), path);
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[test]
fn a_connection_that_the_server_closed_is_not_used_again() {
    let closed = Arc::new(Semaphore::new(0));
    let server = {
        let closed = Arc::clone(&closed);
        Server::start(move |stream, path| {
            answer(stream, path)?;
            stream.shutdown(green_net::Shutdown::Both)?;
            closed.release();
            Err(ErrorKind::Other.into())
        })
    };
    let agent = transport::agent(Agent::config_builder().build());
    for number in 1..=5 {
        let path = format!("/{number}");
        assert_eq!(get(&agent, &server.url(&path)).unwrap(), path);
        closed.acquire().forget();
        assert_eq!(server.connections.load(Ordering::Relaxed), number);
    }
}

#[test]
fn a_large_body_both_ways() {
    let server = Server::start(|mut stream, path| {
        let length = path[1..].parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        )?;
        stream.write_all(&body)
    });
    let agent = transport::agent(Agent::config_builder().build());
    let body: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    let mut answer = agent.put(server.url("/1000000")).send(&body).unwrap();
    assert!(answer.body_mut().read_to_vec().unwrap() == body);
}

#[test]
fn each_timeout_says_which_it_was() {
    let server = Server::start(|mut stream, path| {
        if path == "/half" {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
        }
        // It says no more until the client has gone.
        stream.read(&mut [0]).map(|_| ())
    });
    let limit = Some(Duration::from_millis(50));
    type Set = fn(ConfigBuilder<AgentScope>, Option<Duration>) -> ConfigBuilder<AgentScope>;
    let cases: [(&str, Timeout, Set); 5] = [
        ("/", Timeout::Global, |config, limit| {
            config.timeout_global(limit)
        }),
        ("/", Timeout::RecvResponse, |config, limit| {
            config.timeout_recv_response(limit)
        }),
        ("/", Timeout::PerRead, |config, limit| {
            config.timeout_per_read(limit)
        }),
        ("/half", Timeout::RecvBody, |config, limit| {
            config.timeout_recv_body(limit)
        }),
        ("/half", Timeout::Global, |config, limit| {
            config.timeout_global(limit)
        }),
    ];
    for (path, expected, set) in cases {
        let agent = transport::agent(set(Agent::config_builder(), limit).build());
        let start = Instant::now();
        let error = get(&agent, &server.url(path)).unwrap_err();
        assert!(start.elapsed() >= Duration::from_millis(50), "{error}");
        let text = error.to_string();
        let is_expected = match error {
            Error::Timeout(which) => which == expected,
            // What reads a body wraps it.
            Error::Io(error) => error.to_string().contains(&expected.to_string()),
            _ => false,
        };
        assert!(is_expected, "{path}: {expected}, not {text}");
    }
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let agent = transport::agent(Agent::config_builder().build());
    let error = get(&agent, &format!("http://{address}/")).unwrap_err();
    assert!(
        matches!(&error, Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused),
        "{error}"
    );
}

#[test]
fn a_name_that_nobody_has() {
    let agent = transport::agent(Agent::config_builder().build());
    let error = get(&agent, "http://name.invalid/").unwrap_err();
    assert!(
        matches!(error, Error::Io(_) | Error::HostNotFound),
        "{error}"
    );
}

#[test]
fn what_is_no_http_is_an_error() {
    let server = Server::start(|mut stream, _| {
        stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")?;
        Err(ErrorKind::Other.into())
    });
    let agent = transport::agent(Agent::config_builder().build());
    let error = get(&agent, &server.url("/")).unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error}");
}

#[test]
fn a_request_is_killed() {
    let held = Held::now();
    let server = Server::start(|mut stream, _| stream.read(&mut [0]).map(|_| ()));
    let agent = transport::agent(Agent::config_builder().build());
    let request = {
        let (agent, url) = (agent.clone(), server.url("/"));
        green_core::spawn(move || get(&agent, &url).unwrap())
    };
    eventually("the request arrives", || {
        server.connections.load(Ordering::Relaxed) == 1
    });
    request.kill();
    assert!(matches!(request.into_result(), Err(Failure::Killed)));
    drop((agent, server));
    held.check();
}

#[test]
fn a_shutdown_wakes_who_waits() {
    let server = Server::start(|mut stream, _| stream.read(&mut [0]).map(|_| ()));
    let agent = transport::agent(Agent::config_builder().build());
    let request = {
        let (agent, url) = (agent.clone(), server.url("/"));
        green_core::spawn(move || get(&agent, &url).is_err())
    };
    eventually("the request arrives", || {
        server.connections.load(Ordering::Relaxed) == 1
    });
    agent.shutdown();
    assert!(request.into_result().unwrap(), "it has failed");
}

fn get(agent: &Agent, url: &str) -> Result<String, Error> {
    agent.get(url).call()?.body_mut().read_to_string()
}

fn answer(mut stream: &TcpStream, body: &str) -> io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// A server with one thing to do after each head, which it gets with the path.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    acceptor: Greenlet<()>,
}

impl Server {
    fn start(
        handler: impl Fn(&TcpStream, &str) -> io::Result<()> + Clone + Send + 'static,
    ) -> Self {
        let how = ListenOptions::default().backlog(4096);
        let listener = TcpListener::bind_with("127.0.0.1:0", how).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let acceptor = green_core::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                counter.fetch_add(1, Ordering::Relaxed);
                let handler = handler.clone();
                green_core::spawn(move || serve(&stream, handler));
            }
        });
        Self {
            address,
            connections,
            acceptor,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.acceptor.kill();
    }
}

fn serve(
    stream: &TcpStream,
    handler: impl Fn(&TcpStream, &str) -> io::Result<()>,
) -> io::Result<()> {
    // One byte at a time, so that the handler finds the body.
    let mut reader = BufReader::with_capacity(1, stream);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        let path = request.split(' ').nth(1).unwrap();
        handler(stream, path)?;
    }
}

/// How long a crowd may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);
