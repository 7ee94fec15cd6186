//! `StreamServer`: each test is named after the row (`srv_…`) or the rule (`rule_…`) of gevent that it holds us to.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::{sleep, spawn, yield_now};
use green_net::os::unix::net::{UnixListener, UnixStream};
use green_net::server::{Bind, Handler, StreamServer, UnixStreamServer};
use green_net::{ListenOptions, TcpListener, TcpStream};
use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit, setrlimit};

#[path = "support/temp_dir.rs"]
mod temp_dir;
use temp_dir::TempDir;

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(20);

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(1));
    }
}

/// Connects and reads to the end.
fn ask(addr: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(LONG))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn hello(mut stream: TcpStream, _: SocketAddr) -> io::Result<()> {
    stream.write_all(b"hello")
}

fn hello_server() -> StreamServer {
    StreamServer::new("127.0.0.1:0", hello).unwrap()
}

/// Handlers that wait for a word, and how many there were.
#[derive(Clone, Default)]
struct Gate {
    open: Arc<Event>,
    came: Arc<AtomicUsize>,
}

impl Gate {
    fn server(&self) -> StreamServer {
        let gate = self.clone();
        StreamServer::new("127.0.0.1:0", move |mut stream: TcpStream, _| {
            gate.came.fetch_add(1, Ordering::Relaxed);
            gate.open.wait();
            stream.write_all(b"hello")
        })
        .unwrap()
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::Relaxed)
    }
}

/// Whether nobody listens there. Loopback answers at once.
fn is_refused(addr: SocketAddr) -> bool {
    matches!(TcpStream::connect(addr), Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}

// -- what a server is made of ---------------------------------------------------------------------------------------------

fn serves(address: impl Bind<TcpListener>) -> SocketAddr {
    let server = StreamServer::new(address, hello).unwrap();
    server.start().unwrap();
    let address = server.address();
    let port = address.port();
    assert_eq!(ask(([127, 0, 0, 1], port).into()).unwrap(), "hello");
    address
}

#[test]
fn srv_01_a_server_is_made_of_an_address_a_string_a_port_or_a_listener() {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    for address in [
        serves("127.0.0.1:0"),
        serves(String::from("127.0.0.1:0")),
        serves(("127.0.0.1", 0)),
        serves(local),
        serves(TcpListener::bind(local).unwrap()),
        serves(std::net::TcpListener::bind(local).unwrap()),
    ] {
        assert!(address.ip().is_loopback());
    }
    for address in [serves(0), serves(":0"), serves("*:0"), serves("0")] {
        assert!(address.ip().is_unspecified());
    }
}

#[test]
fn srv_01_what_is_no_address_is_refused() {
    for address in ["127.0.0.1:http", "nonsense"] {
        let error = StreamServer::new(address, hello).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{address}");
    }
}

#[test]
fn srv_01_a_unix_socket_is_a_server_too() {
    let dir = TempDir::new();
    let path: &Path = &dir.join("socket");
    let server =
        UnixStreamServer::new(path, |mut stream: UnixStream, _| stream.write_all(b"hello"))
            .unwrap();
    server.start().unwrap();
    assert_eq!(server.address().as_pathname(), Some(path));
    let mut answer = String::new();
    UnixStream::connect(path)
        .unwrap()
        .read_to_string(&mut answer)
        .unwrap();
    assert_eq!(answer, "hello");
    server.stop();
    assert_eq!(
        UnixStream::connect(path).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    let taken = UnixListener::bind(path).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
}

#[test]
fn srv_01_a_listener_in_non_blocking_mode_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    serves(listener);
}

// -- who runs the handlers ------------------------------------------------------------------------------------------------

#[test]
fn srv_02_without_a_limit_every_connection_has_a_handler() {
    let gate = Gate::default();
    let server = gate.server();
    server.start().unwrap();
    let addr = server.address();
    let clients: Vec<_> = (0..100)
        .map(|_| spawn(move || ask(addr).unwrap()))
        .collect();
    eventually("all run at once", || {
        server.running() == 100 && gate.came() == 100
    });
    gate.open.set();
    assert!(
        clients
            .into_iter()
            .all(|client| client.into_result().unwrap() == "hello")
    );
    eventually("all have left", || server.running() == 0);
}

#[test]
fn srv_02_a_spawner_of_ones_own_runs_the_handlers() {
    let spawned = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&spawned);
    let named = |mut stream: TcpStream, _| {
        let me = green_core::getcurrent().unwrap();
        stream.write_all(me.name().unwrap().as_bytes())
    };
    let server =
        StreamServer::new("127.0.0.1:0", named)
            .unwrap()
            .spawn_by(move |handler: Handler| {
                let number = count.fetch_add(1, Ordering::Relaxed);
                green_core::Builder::new()
                    .name(format!("number {number}"))
                    .spawn(handler)
            });
    server.start().unwrap();
    assert_eq!(ask(server.address()).unwrap(), "number 0");
    assert_eq!(ask(server.address()).unwrap(), "number 1");
    assert_eq!(spawned.load(Ordering::Relaxed), 2);
}

#[test]
fn srv_02_two_servers_share_a_semaphore_and_an_idle_one_holds_no_permit() {
    let permits = Arc::new(Semaphore::new(1));
    let gate = Gate::default();
    let one = gate.server().spawn_by(Arc::clone(&permits));
    let two = gate.server().spawn_by(Arc::clone(&permits));
    one.start().unwrap();
    two.start().unwrap();
    let first = one.address();
    let first = spawn(move || ask(first).unwrap());
    eventually("the first is handled", || gate.came() == 1);
    assert_eq!(permits.available(), 0);
    let second = two.address();
    let second = spawn(move || ask(second).unwrap());
    assert!(!second.join_timeout(SHORT));
    assert_eq!(gate.came(), 1);
    gate.open.set();
    assert_eq!(first.into_result().unwrap(), "hello");
    assert_eq!(second.into_result().unwrap(), "hello");
    eventually("the permit is back", || permits.available() == 1);
}

// -- start, serve, stop ---------------------------------------------------------------------------------------------------

#[test]
fn srv_03_start_accepts_and_may_be_said_twice() {
    let gate = Gate::default();
    let server = gate.server();
    let early = TcpStream::connect(server.address()).unwrap();
    sleep(SHORT);
    assert_eq!(
        (gate.came(), server.started(), server.closed()),
        (0, false, false)
    );
    server.start().unwrap();
    server.start().unwrap();
    eventually("who came early is handled", || gate.came() == 1);
    assert!(server.started());
    gate.open.set();
    drop(early);
}

#[test]
fn srv_03_a_port_that_is_taken_is_an_error() {
    let server = hello_server();
    let error = StreamServer::new(server.address(), hello).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn srv_04_serve_forever_starts_and_ends_when_the_server_is_stopped() {
    let server = Arc::new(hello_server());
    let serving = Arc::clone(&server);
    let serving = spawn(move || serving.serve_forever());
    assert_eq!(ask(server.address()).unwrap(), "hello");
    assert!(!serving.ready());
    server.stop();
    serving.into_result().unwrap().unwrap();
}

#[test]
fn srv_04_serve_forever_waits_for_the_handlers_of_who_stops() {
    let gate = Gate::default();
    let server = Arc::new(gate.server().patience(Duration::ZERO, LONG));
    let serving = Arc::clone(&server);
    let serving = spawn(move || serving.serve_forever());
    let addr = server.address();
    let client = spawn(move || ask(addr).unwrap());
    eventually("it is handled", || gate.came() == 1);
    let stopper = Arc::clone(&server);
    let stopper = spawn(move || stopper.stop_timeout(LONG));
    eventually("it is closed", || server.closed());
    // Its own patience is none, but it is the other's turn.
    assert!(!serving.join_timeout(SHORT));
    gate.open.set();
    let report = stopper.into_result().unwrap();
    assert_eq!((report.killed, report.left), (0, 0));
    serving.into_result().unwrap().unwrap();
    assert_eq!(client.into_result().unwrap(), "hello");
}

#[test]
fn srv_04_a_kill_or_a_timeout_of_serve_forever_stops_the_server() {
    let gate = Gate::default();
    for kill in [true, false] {
        let server = Arc::new(gate.server().patience(Duration::ZERO, LONG));
        let serving = Arc::clone(&server);
        let serving = spawn(move || {
            green_core::timeout(if kill { LONG } else { SHORT }, || serving.serve_forever())
        });
        eventually("it has started", || server.started());
        let before = gate.came();
        let client = TcpStream::connect(server.address());
        if kill {
            client.unwrap();
            eventually("it is handled", || gate.came() == before + 1);
            serving.kill();
        }
        assert_eq!(serving.into_result().is_err(), kill);
        assert!(server.closed() && is_refused(server.address()));
        assert_eq!(server.running(), 0);
    }
}

#[test]
fn srv_05_stop_closes_at_once_and_waits_for_the_handlers() {
    // On one hub, so that it is known when the stop waits.
    green_core::Config::new().hubs(1).apply().unwrap();
    green_core::run(|| {
        let gate = Gate::default();
        let server = Arc::new(gate.server());
        server.start().unwrap();
        let addr = server.address();
        let clients: Vec<_> = (0..3).map(|_| spawn(move || ask(addr).unwrap())).collect();
        eventually("all are handled", || gate.came() == 3);
        let stopper = Arc::clone(&server);
        let stopper = spawn(move || stopper.stop_timeout(LONG));
        for _ in 0..10 {
            yield_now();
        }
        assert!(is_refused(addr));
        assert!(!stopper.join_timeout(SHORT));
        gate.open.set();
        let report = stopper.into_result().unwrap();
        assert_eq!((report.drained, report.killed, report.left), (3, 0, 0));
        for client in clients {
            assert_eq!(client.into_result().unwrap(), "hello");
        }
    });
}

#[test]
fn srv_05_what_is_late_is_killed_and_its_connection_closed() {
    let gate = Gate::default();
    let server = gate.server();
    server.start().unwrap();
    let mut client = TcpStream::connect(server.address()).unwrap();
    eventually("it is handled", || gate.came() == 1);
    let begin = Instant::now();
    let report = server.stop_timeout(SHORT);
    assert!(begin.elapsed() >= SHORT);
    assert_eq!((report.drained, report.killed, report.left), (0, 1, 0));
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn srv_05_a_handler_that_never_ends_is_left_and_the_time_is_bounded() {
    let over = Arc::new(Event::new());
    let theirs = Arc::clone(&over);
    let stubborn = move |_: TcpStream, _| {
        while !theirs.is_set() {
            drop(catch_unwind(AssertUnwindSafe(|| theirs.wait())));
        }
    };
    let server = StreamServer::new("127.0.0.1:0", stubborn)
        .unwrap()
        .patience(SHORT, SHORT);
    server.start().unwrap();
    let _client = TcpStream::connect(server.address()).unwrap();
    eventually("it is handled", || server.running() == 1);
    let begin = Instant::now();
    let report = server.stop();
    assert!(begin.elapsed() >= 2 * SHORT);
    assert_eq!((report.drained, report.killed, report.left), (0, 0, 1));
    assert!(begin.elapsed() < LONG);
    // What is left can still be waited for.
    over.set();
    eventually("it has ended", || server.running() == 0);
    assert_eq!(server.stop(), Default::default());
}

#[test]
fn srv_05_stop_closes_a_listener_that_was_passed_in() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = StreamServer::new(listener, hello).unwrap();
    server.start().unwrap();
    assert_eq!(ask(addr).unwrap(), "hello");
    server.stop();
    server.stop();
    assert!(is_refused(addr));
}

#[test]
fn srv_05_a_handler_that_stops_its_server_is_not_waited_for() {
    let stop = Arc::new(Event::new());
    let server = Arc::new(Mutex::new(None::<Arc<StreamServer>>));
    let (theirs, begun) = (Arc::clone(&server), Arc::clone(&stop));
    let last = move |mut stream: TcpStream, _| {
        let server = theirs.lock().take().unwrap();
        let report = server.stop_timeout(LONG);
        begun.set();
        write!(stream, "{} {}", report.drained, report.killed)
    };
    let made = Arc::new(StreamServer::new("127.0.0.1:0", last).unwrap());
    *server.lock() = Some(Arc::clone(&made));
    let serving = Arc::clone(&made);
    let serving = spawn(move || serving.serve_forever());
    assert_eq!(ask(made.address()).unwrap(), "0 0");
    assert!(stop.is_set());
    serving.into_result().unwrap().unwrap();
}

#[test]
fn srv_06_address_and_state_stay_known_and_a_stopped_server_does_not_start_again() {
    let server = hello_server();
    let addr = server.address();
    assert!(!server.started() && !server.closed());
    server.start().unwrap();
    assert!(server.started() && !server.closed());
    server.close();
    assert!(!server.started() && server.closed());
    assert_eq!(server.address(), addr);
    assert_eq!(server.start().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(
        server.serve_forever().unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    server.resume();
    server.pause();
    assert!(is_refused(addr));
}

#[test]
fn srv_06_close_leaves_the_handlers_alone() {
    let gate = Gate::default();
    let server = gate.server();
    server.start().unwrap();
    let addr = server.address();
    let client = spawn(move || ask(addr).unwrap());
    eventually("it is handled", || gate.came() == 1);
    server.close();
    assert!(is_refused(addr));
    assert_eq!(server.running(), 1);
    gate.open.set();
    assert_eq!(client.into_result().unwrap(), "hello");
}

#[test]
fn srv_07_a_server_that_pauses_leaves_connections_in_the_backlog() {
    let server = hello_server();
    server.start().unwrap();
    let addr = server.address();
    assert_eq!(ask(addr).unwrap(), "hello");
    for _ in 0..3 {
        server.pause();
        assert!(server.started());
        let client = spawn(move || ask(addr).unwrap());
        assert!(!client.join_timeout(SHORT));
        server.resume();
        assert_eq!(client.into_result().unwrap(), "hello");
    }
}

#[test]
fn srv_07_pausing_loses_no_connection() {
    let gate = Gate::default();
    gate.open.set();
    let server = Arc::new(gate.server());
    server.start().unwrap();
    let addr = server.address();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            spawn(move || {
                for _ in 0..25 {
                    assert_eq!(ask(addr).unwrap(), "hello");
                }
            })
        })
        .collect();
    while !clients.iter().all(|client| client.ready()) {
        server.pause();
        yield_now();
        server.resume();
        sleep(Duration::from_micros(300));
    }
    for client in clients {
        client.into_result().unwrap();
    }
    assert_eq!(gate.came(), 200);
}

/// How many of 8 connections that wait have been accepted when the first handler runs, on one hub.
fn accepted_before_the_first_handler(max_accept: usize) -> usize {
    let accepted = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(AtomicUsize::new(0));
    let (count, handled, first) = (
        Arc::clone(&accepted),
        Arc::clone(&accepted),
        Arc::clone(&seen),
    );
    let note = move |_: TcpStream, _| {
        let _ = first.compare_exchange(
            0,
            handled.load(Ordering::Relaxed),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    };
    let server = StreamServer::new("127.0.0.1:0", note)
        .unwrap()
        .max_accept(max_accept)
        .spawn_by(move |handler: Handler| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(spawn(handler))
        });
    let clients: Vec<_> = (0..8)
        .map(|_| TcpStream::connect(server.address()).unwrap())
        .collect();
    server.start().unwrap();
    eventually("all are accepted", || accepted.load(Ordering::Relaxed) == 8);
    drop(clients);
    server.stop();
    seen.load(Ordering::Relaxed)
}

#[test]
fn srv_08_max_accept_bounds_how_many_are_accepted_in_a_row() {
    green_core::Config::new().hubs(1).apply().unwrap();
    green_core::run(|| {
        assert_eq!(accepted_before_the_first_handler(1), 1);
        assert_eq!(accepted_before_the_first_handler(3), 3);
        assert_eq!(accepted_before_the_first_handler(100), 8);
    });
}

#[test]
#[should_panic(expected = "max_accept must be at least 1")]
fn srv_08_max_accept_is_at_least_one() {
    drop(hello_server().max_accept(0));
}

// -- back-pressure --------------------------------------------------------------------------------------------------------

#[test]
fn srv_09_a_full_server_accepts_nothing_until_a_handler_ends() {
    let gate = Gate::default();
    let ended = Arc::new(Semaphore::new(0));
    let (theirs, may_end) = (gate.clone(), Arc::clone(&ended));
    let server = StreamServer::new("127.0.0.1:0", move |_: TcpStream, _| {
        theirs.came.fetch_add(1, Ordering::Relaxed);
        may_end.acquire().forget();
    })
    .unwrap()
    .limit(2);
    server.start().unwrap();
    let addr = server.address();
    let _clients: Vec<_> = (0..5).map(|_| TcpStream::connect(addr).unwrap()).collect();
    eventually("two are handled", || gate.came() == 2);
    for already in 2..5 {
        sleep(SHORT);
        assert_eq!((gate.came(), server.running()), (already, 2));
        ended.release();
        eventually("the next is handled", || gate.came() == already + 1);
    }
    ended.release();
    ended.release();
    eventually("all have ended", || server.running() == 0);
}

#[test]
fn srv_09_a_limit_of_nothing_admits_nobody() {
    let gate = Gate::default();
    let server = gate.server().limit(0);
    server.start().unwrap();
    let _client = TcpStream::connect(server.address()).unwrap();
    sleep(SHORT);
    assert_eq!(gate.came(), 0);
    assert_eq!(server.stop(), Default::default());
}

#[test]
fn srv_09_overload_is_served_within_the_limit() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (theirs, peak) = (Arc::clone(&now), Arc::clone(&most));
    let server = StreamServer::new("127.0.0.1:0", move |mut stream: TcpStream, _| {
        peak.fetch_max(
            theirs.fetch_add(1, Ordering::Relaxed) + 1,
            Ordering::Relaxed,
        );
        sleep(Duration::from_millis(1));
        theirs.fetch_sub(1, Ordering::Relaxed);
        stream.write_all(b"hello")
    })
    .unwrap()
    .limit(4);
    server.start().unwrap();
    let addr = server.address();
    let clients: Vec<_> = (0..200)
        .map(|_| spawn(move || ask(addr).unwrap()))
        .collect();
    assert!(
        clients
            .into_iter()
            .all(|client| client.into_result().unwrap() == "hello")
    );
    assert_eq!(most.load(Ordering::Relaxed), 4);
}

#[test]
fn srv_09_a_killed_handler_gives_its_room_back() {
    let permits = Arc::new(Semaphore::new(2));
    let handlers = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&handlers);
    let gate = Gate::default();
    struct Kept(Arc<Semaphore>, Arc<Mutex<Vec<green_core::Greenlet<()>>>>);
    impl green_net::server::Spawner for Kept {
        fn reserve(&self) -> green_net::server::Slot {
            self.0.reserve()
        }

        fn spawn(&self, handler: Handler) -> io::Result<green_core::Greenlet<()>> {
            let greenlet = self.0.spawn(handler)?;
            self.1.lock().push(greenlet.clone());
            Ok(greenlet)
        }
    }
    let server = gate.server().spawn_by(Kept(Arc::clone(&permits), kept));
    server.start().unwrap();
    for round in 1..=3 {
        let _clients = [(); 2].map(|()| TcpStream::connect(server.address()).unwrap());
        eventually("two more are handled", || gate.came() == 2 * round);
        let all = handlers.lock().split_off(0);
        green_core::killall(&all);
        eventually("the room is back", || {
            permits.available() == 2 && server.running() == 0
        });
    }
}

#[test]
fn rule_53_stop_while_full_closes_the_backlog_too() {
    let gate = Gate::default();
    let server = gate.server().limit(1);
    server.start().unwrap();
    let addr = server.address();
    let mut clients = [(); 3].map(|()| TcpStream::connect(addr).unwrap());
    eventually("one is handled", || gate.came() == 1);
    let report = server.stop_timeout(SHORT);
    assert_eq!((report.drained, report.killed, report.left), (0, 1, 0));
    assert!(is_refused(addr));
    assert_eq!(gate.came(), 1);
    for client in &mut clients {
        client.set_read_timeout(Some(LONG)).unwrap();
        match client.read(&mut [0]) {
            Ok(n) => assert_eq!(n, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

#[test]
fn rule_54_who_waits_in_the_backlog_is_connected_already() {
    let gate = Gate::default();
    let options = ListenOptions::default().backlog(4);
    let listener = TcpListener::bind_with("127.0.0.1:0", options).unwrap();
    let theirs = gate.clone();
    let server = StreamServer::new(listener, move |_: TcpStream, _| theirs.open.wait())
        .unwrap()
        .limit(0);
    server.start().unwrap();
    let mut client = TcpStream::connect(server.address()).unwrap();
    client.write_all(b"nobody reads this yet").unwrap();
    client.set_read_timeout(Some(SHORT)).unwrap();
    assert_eq!(
        client.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

// -- errors ---------------------------------------------------------------------------------------------------------------

/// What was logged of pauses.
static PAUSES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Pauses;

impl log::Log for Pauses {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = record.args().to_string();
        if let Some(pause) = text.strip_prefix("a server pauses for ") {
            PAUSES
                .lock()
                .push(pause.split(':').next().unwrap().to_owned());
        }
    }

    fn flush(&self) {}
}

fn log_pauses() {
    log::set_logger(&Pauses).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
}

#[test]
fn srv_10_a_server_without_descriptors_backs_off_and_recovers() {
    log_pauses();
    let server = hello_server().back_off(Duration::from_millis(1), Duration::from_millis(4));
    let addr = server.address();
    let mut client = TcpStream::connect(addr).unwrap();
    spawn(|| ()).join();
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(256);
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut filling = Vec::new();
    while let Ok(fd) = client.as_fd().try_clone_to_owned() {
        filling.push(fd);
    }
    server.start().unwrap();
    eventually("it has tried often enough", || PAUSES.lock().len() >= 5);
    assert_eq!(PAUSES.lock()[..5], ["1ms", "2ms", "4ms", "4ms", "4ms"]);
    assert!(server.started() && server.running() == 0);
    drop(filling);
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(ask(addr).unwrap(), "hello");
    server.stop();
}

#[test]
fn rule_55_an_error_of_the_spawner_closes_the_connection_and_backs_off() {
    log_pauses();
    let failures = Arc::new(AtomicUsize::new(3));
    let left = Arc::clone(&failures);
    let server = hello_server()
        .back_off(Duration::from_millis(1), Duration::from_millis(2))
        .spawn_by(move |handler: Handler| {
            let more = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
            if more.is_ok() {
                return Err(ErrorKind::WouldBlock.into());
            }
            Ok(spawn(handler))
        });
    server.start().unwrap();
    for _ in 0..3 {
        assert_eq!(ask(server.address()).unwrap_or_default(), "");
    }
    assert_eq!(ask(server.address()).unwrap(), "hello");
    assert_eq!(*PAUSES.lock(), ["1ms", "2ms", "2ms"]);
    assert_eq!(server.stop().left, 0);
}

#[test]
fn rule_55_a_panic_of_the_spawner_closes_the_connection_and_backs_off() {
    std::panic::set_hook(Box::new(|_| ()));
    log_pauses();
    let failures = Arc::new(AtomicUsize::new(3));
    let left = Arc::clone(&failures);
    let server = hello_server()
        .back_off(Duration::from_millis(1), Duration::from_millis(2))
        .spawn_by(move |handler: Handler| {
            let more = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
            assert!(more.is_err(), "on purpose");
            Ok(spawn(handler))
        });
    server.start().unwrap();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or_default(), 0);
    }
    assert_eq!(ask(server.address()).unwrap(), "hello");
    assert_eq!(*PAUSES.lock(), ["1ms", "2ms", "2ms"]);
    assert_eq!(server.stop().left, 0);
}

#[test]
fn rule_55_an_errno_of_the_spawner_is_not_one_of_the_socket() {
    let failures = Arc::new(AtomicUsize::new(1));
    let server = hello_server().spawn_by(move |handler: Handler| {
        if failures.swap(0, Ordering::Relaxed) == 1 {
            return Err(rustix::io::Errno::INVAL.into());
        }
        Ok(spawn(handler))
    });
    server.start().unwrap();
    assert_eq!(ask(server.address()).unwrap_or_default(), "");
    assert_eq!(ask(server.address()).unwrap(), "hello");
}

#[test]
fn srv_10_the_end_of_the_acceptor_closes_the_server() {
    std::panic::set_hook(Box::new(|_| ()));
    struct NoRoom;
    impl green_net::server::Spawner for NoRoom {
        fn reserve(&self) -> green_net::server::Slot {
            panic!("on purpose")
        }
    }
    let server = Arc::new(hello_server().spawn_by(NoRoom));
    let serving = Arc::clone(&server);
    let serving = spawn(move || serving.serve_forever());
    let _client = TcpStream::connect(server.address());
    assert!(serving.join_timeout(LONG));
    let error = serving.into_result().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert!(server.closed() && !server.started());
}

#[test]
fn srv_10_an_acceptor_that_is_killed_before_it_runs_closes_the_server() {
    green_core::Config::new().hubs(1).apply().unwrap();
    green_core::run(|| {
        let server = Arc::new(hello_server());
        let serving = Arc::clone(&server);
        let serving = spawn(move || serving.serve_forever());
        yield_now();
        // Paused and resumed by who does not wait in between: the new acceptor has not run.
        server.pause();
        server.resume();
        let own = green_core::getcurrent().unwrap().id().get();
        for id in (1..=own + 64).filter_map(std::num::NonZeroU64::new) {
            if id.get() != own && id != serving.id() {
                green_core::debug::kill(id);
            }
        }
        assert!(serving.join_timeout(LONG));
        let error = serving.into_result().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other);
        assert!(server.closed());
    });
}

#[test]
fn grn21_a_spawn_callback_may_ask_the_server() {
    let server = Arc::new(hello_server());
    let asked = Arc::clone(&server);
    let callback = green_core::add_spawn_callback(move |_| _ = asked.started());
    let theirs = Arc::clone(&server);
    let starts = spawn(move || theirs.start());
    assert!(starts.join_timeout(LONG));
    assert_eq!(ask(server.address()).unwrap(), "hello");
    green_core::remove_spawn_callback(callback);
}

#[test]
fn rule_55_errors_of_handlers_do_not_back_off() {
    log_pauses();
    let server = StreamServer::new("127.0.0.1:0", |_: TcpStream, _| Err::<(), _>("no")).unwrap();
    server.start().unwrap();
    for _ in 0..20 {
        assert_eq!(ask(server.address()).unwrap(), "");
    }
    assert!(PAUSES.lock().is_empty());
}

#[test]
fn srv_10_a_listener_that_is_shut_from_outside_closes_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let outside = listener.try_clone().unwrap();
    let server = Arc::new(StreamServer::new(listener, hello).unwrap());
    let serving = Arc::clone(&server);
    let serving = spawn(move || serving.serve_forever());
    assert_eq!(ask(server.address()).unwrap(), "hello");
    rustix::net::shutdown(&outside, rustix::net::Shutdown::Both).unwrap();
    let error = serving.into_result().unwrap().unwrap_err();
    assert_eq!(
        error.raw_os_error(),
        Some(rustix::io::Errno::INVAL.raw_os_error())
    );
    assert!(server.closed() && !server.started());
}

#[test]
fn srv_11_a_handler_that_fails_or_panics_closes_its_connection_only() {
    std::panic::set_hook(Box::new(|_| ()));
    let server = StreamServer::new("127.0.0.1:0", |mut stream: TcpStream, _| {
        let mut what = [0];
        stream.read_exact(&mut what)?;
        match &what {
            b"p" => panic!("on purpose"),
            b"e" => Err(io::Error::other("on purpose")),
            _ => stream.write_all(b"hello"),
        }
    })
    .unwrap()
    .limit(2);
    server.start().unwrap();
    for (what, expected) in [(b"p", ""), (b"e", ""), (b"h", "hello")].repeat(5) {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(what).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, expected);
    }
    eventually("all have left", || server.running() == 0);
    assert!(server.started());
}

#[test]
fn srv_12_dropping_a_server_stops_it() {
    let gate = Gate::default();
    let server = gate.server().patience(Duration::ZERO, LONG);
    server.start().unwrap();
    let addr = server.address();
    let mut client = TcpStream::connect(addr).unwrap();
    eventually("it is handled", || gate.came() == 1);
    drop(server);
    assert!(is_refused(addr));
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    let addr = hello_server().address();
    assert!(is_refused(addr));
}

// -- interrupts -----------------------------------------------------------------------------------------------------------

#[test]
fn rule_26_a_stop_that_is_killed_leaves_the_next_one_its_turn() {
    let gate = Gate::default();
    let server = Arc::new(gate.server());
    server.start().unwrap();
    let addr = server.address();
    let client = spawn(move || ask(addr).unwrap());
    eventually("it is handled", || gate.came() == 1);
    let first = Arc::clone(&server);
    let first = spawn(move || first.stop_timeout(LONG));
    eventually("it is closed", || server.closed());
    let second = Arc::clone(&server);
    let second = spawn(move || second.stop_timeout(LONG));
    assert!(!second.join_timeout(SHORT));
    first.kill();
    assert_eq!(server.running(), 1);
    gate.open.set();
    let report = second.into_result().unwrap();
    assert_eq!((report.killed, report.left), (0, 0));
    assert_eq!(client.into_result().unwrap(), "hello");
}

#[test]
fn a_server_leaves_nothing_behind() {
    let sources = green_core::stats().sources;
    green_core::run(move || {
        for _ in 0..20 {
            let server = hello_server();
            server.start().unwrap();
            assert_eq!(ask(server.address()).unwrap(), "hello");
            assert_eq!(server.stop().left, 0);
        }
        eventually("nothing is watched any more", || {
            green_core::stats().sources == sources
        });
    });
}
