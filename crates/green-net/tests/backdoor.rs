//! `backdoor`: each test is named after the row of gevent that it holds us to.

#![cfg(feature = "backdoor")]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::{Builder, Config, Failure, Greenlet, getcurrent, sleep, spawn, stats};
use green_net::TcpStream;
use green_net::backdoor::BackdoorServer;

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(20);

fn on(hubs: usize, body: fn()) {
    Config::new()
        .hubs(hubs)
        .apply()
        .expect("each test has a process of its own");
    spawn(body).into_result().unwrap();
}

macro_rules! on_every_number_of_hubs {
    ($($name:ident)*) => {
        mod on_one_hub {
            $(#[test] fn $name() { super::on(1, super::$name); })*
        }
        mod on_two_hubs {
            $(#[test] fn $name() { super::on(2, super::$name); })*
        }
        mod on_eight_hubs {
            $(#[test] fn $name() { super::on(8, super::$name); })*
        }
    };
}

on_every_number_of_hubs! {
    bkd_01_greets_and_says_bye
    bkd_01_help_names_every_command
    bkd_01_ps_lists_green_threads_and_itself
    bkd_01_trace_shows_where_one_waits
    bkd_01_trace_of_itself
    bkd_01_kill_ends_the_one
    bkd_01_kill_of_its_own_green_thread_ends_its_connection_only
    bkd_01_stats_are_counts
    bkd_01_commands_in_one_piece_are_answered_in_order
    bkd_01_what_is_no_command_is_an_error
    bkd_01_a_line_that_is_too_long_is_an_error
    bkd_01_a_long_request_of_http_gives_no_commands
    bkd_01_who_is_idle_is_shown_out
    bkd_01_who_takes_no_reply_is_shown_out
    bkd_01_clients_are_limited
    bkd_01_a_request_of_http_ends_the_connection
    bkd_01_stop_ends_the_connections
    bkd_01_dropping_it_does_not_wait_for_the_idle
    bkd_01_a_client_that_has_gone_disturbs_nobody
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(1));
    }
}

fn console() -> BackdoorServer {
    let console = BackdoorServer::bind("127.0.0.1:0").unwrap();
    console.start().unwrap();
    console
}

/// A client, after the greeting.
struct Client {
    lines: BufReader<TcpStream>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let mut client = Self::greeted_by(address);
        client.reply().unwrap();
        client
    }

    fn greeted_by(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self {
            lines: BufReader::new(stream),
        }
    }

    fn send(&self, text: &str) {
        let mut stream = self.lines.get_ref();
        stream.write_all(text.as_bytes()).unwrap();
    }

    /// The next reply, without its end.
    fn reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            match line.strip_prefix('.') {
                Some("\n") => return Ok(reply),
                Some(stuffed) => reply.push_str(stuffed),
                None => reply.push_str(&line),
            }
        }
    }

    fn ask(&mut self, command: &str) -> String {
        self.send(&format!("{command}\n"));
        self.reply().unwrap()
    }

    /// The server has closed the connection, after what it had to say.
    fn is_closed(&mut self) -> bool {
        let mut rest = String::new();
        match self.lines.read_to_string(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// The id of the green thread that serves it.
    fn server(&mut self) -> u64 {
        // It runs while it says so.
        let ps = self.ask("ps");
        let running = |line: &&str| line.contains(" running, ") && line.contains("/server/");
        let line = ps.lines().find(running).unwrap_or_else(|| panic!("{ps}"));
        line[1..].split(' ').next().unwrap().parse().unwrap()
    }
}

#[inline(never)]
fn stands_here(event: &Event) {
    event.wait();
}

fn stander() -> (Greenlet<()>, Arc<Event>) {
    let event = Arc::new(Event::new());
    let theirs = Arc::clone(&event);
    let g = Builder::new().name("stander");
    let g = g.spawn(move || stands_here(&theirs)).unwrap();
    (g, event)
}

fn bkd_01_greets_and_says_bye() {
    let console = BackdoorServer::bind("127.0.0.1:0")
        .unwrap()
        .banner("hello\n.hidden");
    console.start().unwrap();
    let mut client = Client::greeted_by(console.address());
    assert_eq!(client.reply().unwrap(), "hello\n.hidden\n");
    assert_eq!(client.ask("quit"), "bye\n");
    assert!(client.is_closed());
    eventually("it has gone", || console.clients() == 0);
}

fn bkd_01_help_names_every_command() {
    let console = console();
    let help = Client::connect(console.address()).ask("help");
    for command in ["help", "ps", "trace", "kill", "stats", "quit"] {
        assert!(help.contains(command), "{help}");
    }
}

fn bkd_01_ps_lists_green_threads_and_itself() {
    let console = console();
    let (g, _event) = stander();
    let mut client = Client::connect(console.address());
    client.server();
    let ps = client.ask("ps");
    let line = format!("#{} stander ", g.id());
    assert!(ps.lines().any(|each| each.starts_with(&line)), "{ps}");
    let count: usize = ps.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(ps.lines().count(), count + 1);
    g.kill();
}

fn bkd_01_trace_shows_where_one_waits() {
    let console = console();
    let (g, event) = stander();
    let mut client = Client::connect(console.address());
    eventually("it waits", || g.started());
    let waits = format!("#{} stander hub", g.id());
    while !client
        .ask("ps")
        .lines()
        .any(|line| line.starts_with(&waits) && line.contains("waits"))
    {
        sleep(Duration::from_millis(1));
    }
    for command in [format!("trace {}", g.id()), format!("trace #{}", g.id())] {
        let trace = client.ask(&command);
        assert!(
            trace.contains("stands_here") && trace.contains("backdoor.rs:"),
            "{trace}"
        );
    }
    event.set();
    g.join();
    let trace = client.ask(&format!("trace {}", g.id()));
    assert_eq!(trace, "error: no live green thread has this id\n");
}

fn bkd_01_trace_of_itself() {
    let console = console();
    let mut client = Client::connect(console.address());
    let id = client.server();
    let trace = client.ask(&format!("trace {id}"));
    assert!(trace.contains("session"), "{trace}");
}

fn bkd_01_kill_ends_the_one() {
    let console = console();
    let ((one, _first), (other, event)) = (stander(), stander());
    let mut client = Client::connect(console.address());
    let command = format!("kill {}", one.id());
    assert_eq!(
        client.ask(&command),
        format!("asked #{} to die\n", one.id())
    );
    assert!(matches!(one.get(), Err(Failure::Killed)));
    assert!(client.ask(&command).starts_with("error: "));
    event.set();
    assert!(other.get().is_ok());
}

fn bkd_01_kill_of_its_own_green_thread_ends_its_connection_only() {
    let console = console();
    let mut other = Client::connect(console.address());
    let mut client = Client::connect(console.address());
    let id = client.server();
    client.send(&format!("kill {id}\n"));
    assert!(client.is_closed());
    assert!(other.ask("stats").contains("hubs "));
    assert!(
        Client::connect(console.address())
            .ask("stats")
            .contains("hubs ")
    );
}

fn bkd_01_stats_are_counts() {
    let console = console();
    let reply = Client::connect(console.address()).ask("stats");
    let count = |name: &str| -> u64 {
        let mut lines = reply.lines().filter_map(|line| line.split_once(' '));
        let (_, count) = lines.find(|(each, _)| *each == name).unwrap();
        count.parse().unwrap()
    };
    assert_eq!(count("hubs"), stats().hubs as u64);
    assert!(count("live") >= 2 && count("sources") >= 1);
    assert_eq!(reply.lines().count(), 12);
}

fn bkd_01_commands_in_one_piece_are_answered_in_order() {
    let console = console();
    let mut client = Client::connect(console.address());
    client.send("\r\n\nhelp\r\nstats\nnonsense\nquit\nhelp\n");
    assert!(client.reply().unwrap().starts_with("help"));
    assert!(client.reply().unwrap().starts_with("hubs"));
    assert!(client.reply().unwrap().starts_with("error: "));
    assert_eq!(client.reply().unwrap(), "bye\n");
    assert!(client.is_closed());
}

fn bkd_01_what_is_no_command_is_an_error() {
    let console = console();
    let mut client = Client::connect(console.address());
    for command in [
        "nonsense",
        "kill",
        "trace x",
        "ps 1",
        "kill 0",
        "\u{1}\u{2}",
    ] {
        let reply = client.ask(command);
        assert!(
            reply.starts_with("error: ") && reply.lines().count() == 1,
            "{reply}"
        );
    }
    let mut stream = client.lines.get_ref();
    stream.write_all(b"\xff\xfe\n").unwrap();
    assert!(client.reply().unwrap().starts_with("error: "));
}

fn bkd_01_a_line_that_is_too_long_is_an_error() {
    let console = console();
    let mut client = Client::connect(console.address());
    client.send(&format!("ps{}\n", " ".repeat(1022)));
    assert!(client.reply().unwrap().contains("green threads"));
    client.send(&format!("kill {}\n", "1".repeat(100_000)));
    assert_eq!(
        client.reply().unwrap(),
        "error: a line of more than 1024 bytes\n"
    );
    client.reply().unwrap_err();
}

fn bkd_01_a_long_request_of_http_gives_no_commands() {
    let console = console();
    let victim = spawn(|| sleep(LONG));
    let mut client = Client::connect(console.address());
    let path = "x".repeat(2_000);
    let command = format!("kill {}\n", victim.id());
    client.send(&format!(
        "POST /{path} HTTP/1.1\r\nhost: here\r\n\r\n{command}"
    ));
    assert!(client.reply().unwrap().starts_with("error: "));
    client.reply().unwrap_err();
    assert!(!victim.ready());
    victim.kill();
}

fn bkd_01_who_is_idle_is_shown_out() {
    let limit = Duration::from_millis(60);
    let console = BackdoorServer::bind("127.0.0.1:0")
        .unwrap()
        .idle_timeout(limit);
    console.start().unwrap();
    let begun = Instant::now();
    let mut client = Client::connect(console.address());
    // A byte now and then is no line.
    let feet = client.lines.get_ref().try_clone().unwrap();
    let dribbles = spawn(move || {
        while (&feet).write_all(b"p").is_ok() {
            sleep(Duration::from_millis(5));
        }
    });
    assert_eq!(client.reply().unwrap(), "error: idle for too long\n");
    assert!(begun.elapsed() >= limit);
    assert!(client.is_closed());
    dribbles.join();
}

fn bkd_01_who_takes_no_reply_is_shown_out() {
    let limit = Duration::from_millis(200);
    let console = BackdoorServer::bind("127.0.0.1:0")
        .unwrap()
        .idle_timeout(limit);
    console.start().unwrap();
    let client = Client::connect(console.address());
    // Until neither side takes any more.
    let mut stream = client.lines.get_ref();
    stream.set_write_timeout(Some(LONG)).unwrap();
    while stream.write_all("help\n".repeat(1_000).as_bytes()).is_ok() {}
    eventually("it has gone", || console.clients() == 0);
}

fn bkd_01_clients_are_limited() {
    let console = BackdoorServer::bind("127.0.0.1:0").unwrap().limit(2);
    console.start().unwrap();
    let mut first = Client::connect(console.address());
    let mut second = Client::connect(console.address());
    let mut third = Client::greeted_by(console.address());
    assert!(first.ask("stats").starts_with("hubs"));
    assert!(second.ask("stats").starts_with("hubs"));
    assert_eq!(console.clients(), 2);
    first.ask("quit");
    assert!(third.reply().is_ok());
    assert!(third.ask("stats").starts_with("hubs"));
}

fn bkd_01_a_request_of_http_ends_the_connection() {
    let console = console();
    let (g, event) = stander();
    let mut browser = Client::connect(console.address());
    browser.send(&format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nkill {}\n",
        g.id()
    ));
    assert!(browser.is_closed());
    eventually("it has gone", || console.clients() == 0);
    assert!(!g.ready());
    event.set();
    assert!(g.get().is_ok());
}

fn bkd_01_stop_ends_the_connections() {
    let console = console();
    let mut client = Client::connect(console.address());
    let report = console.stop();
    assert_eq!((report.killed, report.left), (1, 0));
    assert!(client.is_closed());
    assert!(TcpStream::connect(console.address()).is_err());
    assert_eq!(console.start().unwrap_err().kind(), ErrorKind::InvalidInput);
}

fn bkd_01_dropping_it_does_not_wait_for_the_idle() {
    let console = console();
    let mut client = Client::connect(console.address());
    let start = Instant::now();
    drop(console);
    // That is how long a server waits for its handlers by default.
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(client.is_closed());
}

fn bkd_01_a_client_that_has_gone_disturbs_nobody() {
    let console = console();
    for _ in 0..20 {
        let client = Client::greeted_by(console.address());
        client.send("ps\nps\ntrace 1\n");
    }
    eventually("they have gone", || console.clients() == 0);
    assert!(
        Client::connect(console.address())
            .ask("stats")
            .starts_with("hubs")
    );
}

#[test]
fn bkd_01_binds_to_loopback_unless_asked_for_more() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let refused = BackdoorServer::bind(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{address}");
    }
    let mixed: [SocketAddr; 2] = ["127.0.0.1:0".parse().unwrap(), "0.0.0.0:0".parse().unwrap()];
    let refused = BackdoorServer::bind(&mixed[..]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert!(BackdoorServer::bind("127.0.0.2:0").is_ok());
    assert!(BackdoorServer::bind("localhost:0").is_ok());
    let open = BackdoorServer::bind_remote("0.0.0.0:0").unwrap();
    assert!(open.address().ip().is_unspecified());
}

#[test]
fn bkd_01_serves_os_threads() {
    let console = console();
    let mut client = Client::connect(console.address());
    assert!(getcurrent().is_none() && client.ask("stats").starts_with("hubs"));
}
