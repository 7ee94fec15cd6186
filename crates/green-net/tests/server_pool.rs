//! Servers whose handlers are members of a pool (gevent's SRV-02 and SRV-09, rule 54).

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::pool::{Group, Pool};
use green_core::queue::Queue;
use green_core::{Config, getcurrent, run, sleep, spawn};
use green_net::TcpStream;
use green_net::server::StreamServer;

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(20);

macro_rules! on_any_number_of_hubs {
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

on_any_number_of_hubs! {
    srv_02_handlers_are_members_of_the_pool
    srv_02_a_group_has_no_limit
    srv_02_two_servers_share_a_pool_and_idle_ones_take_no_place
    srv_02_killing_the_pool_kills_the_handlers_and_the_server_goes_on
    srv_02_a_closed_pool_closes_connections
    srv_02_who_waits_for_a_place_is_the_handler
    srv_05_stop_ends_who_waits_for_a_place
    srv_09_a_full_pool_accepts_nothing_until_a_member_ends
    srv_09_overload_is_served_within_the_limit_of_the_pool
}

fn on(hubs: usize, f: fn()) {
    Config::new().hubs(hubs).apply().ok();
    run(f);
}

#[track_caller]
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

/// Handlers that wait for a word, and how many there were.
#[derive(Clone, Default)]
struct Gate {
    open: Arc<Event>,
    came: Arc<AtomicUsize>,
}

impl Gate {
    /// A server that runs.
    fn server(&self, pool: &Pool) -> StreamServer {
        let gate = self.clone();
        let handle = move |mut stream: TcpStream, _| {
            gate.came.fetch_add(1, Ordering::SeqCst);
            gate.open.wait();
            stream.write_all(b"hello")
        };
        let server = StreamServer::new("127.0.0.1:0", handle).unwrap();
        let server = server.spawn_by(pool.clone());
        server.start().unwrap();
        server
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }
}

fn srv_02_handlers_are_members_of_the_pool() {
    let (pool, gate) = (Pool::new(2), Gate::default());
    let server = gate.server(&pool);
    let address = server.address();
    let client = spawn(move || ask(address).unwrap());
    eventually("it is handled", || gate.came() == 1);
    assert_eq!((pool.len(), pool.free_count()), (1, Some(1)));
    gate.open.set();
    assert_eq!(client.get().unwrap(), "hello");
    pool.join();
    assert_eq!(pool.free_count(), Some(2));
}

fn srv_02_a_group_has_no_limit() {
    let group = Group::new();
    let theirs = group.clone();
    let handle = move |mut stream: TcpStream, _| write!(stream, "{}", theirs.len());
    let server = StreamServer::new("127.0.0.1:0", handle).unwrap();
    let server = server.spawn_by(group.clone());
    server.start().unwrap();
    assert_eq!(ask(server.address()).unwrap(), "1");
    group.join();
}

fn srv_02_two_servers_share_a_pool_and_idle_ones_take_no_place() {
    let (pool, gate) = (Pool::new(1), Gate::default());
    let servers = [gate.server(&pool), gate.server(&pool)];
    sleep(SHORT);
    assert_eq!(pool.free_count(), Some(1));
    let addresses = servers.each_ref().map(StreamServer::address);
    let clients = addresses.map(|address| spawn(move || ask(address).unwrap()));
    eventually("one is handled", || gate.came() == 1);
    sleep(SHORT);
    assert_eq!((gate.came(), pool.len()), (1, 1));
    gate.open.set();
    assert!(
        clients
            .iter()
            .all(|client| client.get().unwrap() == "hello")
    );
    pool.join();
}

fn srv_02_killing_the_pool_kills_the_handlers_and_the_server_goes_on() {
    let (pool, gate) = (Pool::new(1), Gate::default());
    let server = gate.server(&pool);
    let address = server.address();
    let client = spawn(move || ask(address).unwrap_or_default());
    eventually("it is handled", || gate.came() == 1);
    pool.kill();
    assert_eq!(client.get().unwrap(), "", "its connection is closed");
    gate.open.set();
    assert_eq!(ask(address).unwrap(), "hello");
}

fn srv_02_a_closed_pool_closes_connections() {
    let (pool, gate) = (Pool::new(1), Gate::default());
    let server = gate.server(&pool);
    pool.close();
    assert_eq!(ask(server.address()).unwrap_or_default(), "");
    assert_eq!(gate.came(), 0);
    assert_eq!(server.stop(), Default::default());
}

fn srv_05_stop_ends_who_waits_for_a_place() {
    let (pool, gate) = (Pool::new(1), Gate::default());
    let server = gate.server(&pool);
    let address = server.address();
    let client = TcpStream::connect(address).unwrap();
    eventually("it is handled", || gate.came() == 1);
    let other = spawn(move || ask(address).unwrap_or_default());
    sleep(SHORT);
    let report = server.stop_timeout(SHORT);
    assert_eq!((report.drained, report.killed, report.left), (0, 1, 0));
    assert_eq!(other.get().unwrap(), "");
    drop(client);
    pool.join();
    assert_eq!(gate.came(), 1);
}

fn srv_02_who_waits_for_a_place_is_the_handler() {
    let (pool, goes) = (Pool::new(1), Arc::new(Event::new()));
    let theirs = Arc::clone(&goes);
    let first = pool.spawn(move || theirs.wait());
    let ran = Queue::unbounded();
    let theirs = ran.clone();
    let handler = move || theirs.put(getcurrent().unwrap().id()).unwrap();
    let second = green_net::server::Spawner::spawn(&pool, Box::new(handler)).unwrap();
    let dropped = Arc::new(());
    let theirs = Arc::clone(&dropped);
    let third = green_net::server::Spawner::spawn(&pool, Box::new(move || drop(theirs))).unwrap();
    assert!(!pool.contains(&second) && ran.is_empty());
    third.kill();
    goes.set();
    assert_eq!(ran.get().unwrap(), second.id());
    second.join();
    first.join();
    assert_eq!(pool.free_count(), Some(1));
    // Where it would have run, that is when its hub comes to it.
    let end = Instant::now() + LONG;
    while Arc::strong_count(&dropped) > 1 {
        assert!(Instant::now() < end, "the handler is not dropped");
        sleep(Duration::from_millis(1));
    }
    pool.close();
    assert!(green_net::server::Spawner::spawn(&pool, Box::new(|| ())).is_err());
}

fn srv_09_a_full_pool_accepts_nothing_until_a_member_ends() {
    let (pool, gate) = (Pool::new(1), Gate::default());
    let goes = Arc::new(Event::new());
    let theirs = Arc::clone(&goes);
    let member = pool.spawn(move || theirs.wait());
    let server = gate.server(&pool);
    let address = server.address();
    let client = spawn(move || ask(address).unwrap());
    sleep(SHORT);
    assert_eq!((gate.came(), server.running()), (0, 0));
    gate.open.set();
    goes.set();
    assert_eq!(client.get().unwrap(), "hello");
    member.join();
}

fn srv_09_overload_is_served_within_the_limit_of_the_pool() {
    let pool = Pool::new(3);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, peak) = (Arc::clone(&now), Arc::clone(&most));
    let handle = move |mut stream: TcpStream, _| {
        peak.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        sleep(Duration::from_millis(1));
        count.fetch_sub(1, Ordering::SeqCst);
        stream.write_all(b"hello")
    };
    let server = StreamServer::new("127.0.0.1:0", handle).unwrap();
    let server = server.spawn_by(pool.clone());
    server.start().unwrap();
    let address = server.address();
    let clients: Vec<_> = (0..100)
        .map(|_| spawn(move || ask(address).unwrap()))
        .collect();
    // Others take places, too: who was accepted waits for one then.
    let members: Vec<_> = (0..100)
        .map(|_| pool.spawn(|| sleep(Duration::from_micros(200))))
        .collect();
    assert!(
        clients
            .iter()
            .all(|client| client.get().unwrap() == "hello")
    );
    assert!(members.iter().all(|member| member.get().is_ok()));
    assert!(most.load(Ordering::SeqCst) <= 3);
    pool.join();
    assert_eq!(pool.free_count(), Some(3));
}
