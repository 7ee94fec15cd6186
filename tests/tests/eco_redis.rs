//! `redis` over green sockets, with the pool: the connection of the example `redis_client`, against a
//! server that each test starts.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use green_core::Failure;
use green_examples::pool::{GetError, Pool};
use green_net::TcpListener;
use green_tests::eventually;
use redis::{Commands, ConnectionLike, ErrorKind, RedisResult, ServerErrorKind, Value};

#[path = "../../examples/examples/redis_client/connection.rs"]
mod connection;
#[path = "../../examples/examples/redis_client/server.rs"]
mod server;

use connection::{Connection, Manager};
use server::RedisServer;

/// The server; without one the test ends here, and says so.
macro_rules! server_or_skip {
    () => {
        match start() {
            Some(server) => server,
            None => return,
        }
    };
}

#[test]
fn commands_and_their_types() {
    let server = server_or_skip!();
    let mut redis = connect(&server);
    assert!(redis.check_connection());
    let _: () = redis.set("key", "value").unwrap();
    assert_eq!(redis.get::<_, String>("key").unwrap(), "value");
    assert_eq!(redis.get::<_, Option<String>>("other").unwrap(), None);
    assert_eq!(redis.incr::<_, _, i64>("number", 41).unwrap(), 41);
    let _: () = redis.rpush("list", &["a", "b", "c"]).unwrap();
    let list: Vec<String> = redis.lrange("list", 0, -1).unwrap();
    assert_eq!(list, ["a", "b", "c"]);
    let large = vec![7; 1 << 20];
    let _: () = redis.set("large", &large).unwrap();
    assert!(redis.get::<_, Vec<u8>>("large").unwrap() == large);
}

#[test]
fn a_pipeline() {
    let server = server_or_skip!();
    let mut redis = connect(&server);
    let mut pipe = redis::pipe();
    for number in 0..1_000 {
        pipe.rpush("list", number).ignore();
    }
    pipe.llen("list");
    let (length,): (u32,) = pipe.query(&mut redis).unwrap();
    assert_eq!(length, 1_000);
}

#[test]
fn a_transaction() {
    let server = server_or_skip!();
    let mut redis = connect(&server);
    let (one, two): (i32, i32) = redis::pipe()
        .atomic()
        .incr("number", 1)
        .incr("number", 1)
        .query(&mut redis)
        .unwrap();
    assert_eq!((one, two), (1, 2));

    let error = redis::pipe()
        .atomic()
        .incr("number", 1)
        .cmd("NONSENSE")
        .query::<Value>(&mut redis)
        .unwrap_err();
    assert!(error.to_string().contains("NONSENSE"), "{error}");
    assert_eq!(
        redis.get::<_, i32>("number").unwrap(),
        2,
        "not a part of it"
    );
}

#[test]
fn an_error_of_the_server_leaves_the_connection_usable() {
    let server = server_or_skip!();
    let mut redis = connect(&server);
    let _: () = redis.set("text", "x").unwrap();
    let error = redis.lpush::<_, _, ()>("text", 1).unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"));
    let error = redis::cmd("NONSENSE").exec(&mut redis).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::ResponseError)
    );
    let error = redis::pipe()
        .get("text")
        .lpush("text", 1)
        .get("text")
        .query::<Value>(&mut redis)
        .unwrap_err();
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    assert!(redis.is_open());
    assert_eq!(redis.get::<_, String>("text").unwrap(), "x");
}

#[test]
fn who_waits_for_an_element_waits_alone() {
    let server = server_or_skip!();
    let (mut waiting, mut pushing) = (connect(&server), connect(&server));
    let popped = green_core::spawn(move || waiting.blpop::<_, (String, i32)>("list", 0.0));
    let _: () = pushing.rpush("list", 7).unwrap();
    let popped = popped.into_result().unwrap();
    assert_eq!(popped.unwrap(), ("list".to_owned(), 7));
}

#[test]
fn a_hundred_green_threads_share_ten_connections() {
    let server = server_or_skip!();
    let pool = pool(&server, 10);
    let workers: Vec<_> = (0..100)
        .map(|_| {
            let pool = pool.clone();
            green_core::spawn(move || {
                for _ in 0..20 {
                    let mut redis = pool.get().unwrap();
                    let _: () = redis.incr("number", 1).unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.into_result().unwrap();
    }
    let mut redis = pool.get().unwrap();
    assert_eq!(redis.get::<_, i32>("number").unwrap(), 2_000);
    let clients: String = redis::cmd("CLIENT").arg("LIST").query(&mut *redis).unwrap();
    let clients = clients.lines().count();
    assert!(clients <= 10, "{clients}");
    drop(redis);
    assert_eq!((pool.idle(), pool.taken()), (clients, 0));
}

#[test]
fn a_connection_whose_answer_did_not_come_in_time_is_not_used_again() {
    let server = server_or_skip!();
    let limit = Duration::from_millis(50);
    let mut redis = Connection::connect(server.address, Some(limit)).unwrap();
    let start = Instant::now();
    let error = redis.blpop::<_, ()>("list", 0.0).unwrap_err();
    assert!(error.is_timeout() && start.elapsed() >= limit, "{error}");
    assert!(!redis.is_open());
    let later = redis.get::<_, Value>("key");
    assert!(later.is_err(), "it would be the wrong answer");
}

#[test]
fn a_timeout_scope_ends_a_command_too() {
    let server = server_or_skip!();
    let pool = pool(&server, 1);
    let mut redis = pool.get().unwrap();
    let limit = Duration::from_millis(50);
    let result = green_core::timeout(limit, || redis.blpop::<_, ()>("list", 0.0));
    assert!(result.is_err(), "it is out of time");
    assert!(!redis.is_open());
    drop(redis);
    assert_eq!((pool.idle(), pool.taken()), (0, 0));
    let _: () = pool.get().unwrap().set("key", 1).unwrap();
}

#[test]
fn a_holder_that_is_killed_gives_its_place_back() {
    let server = server_or_skip!();
    let pool = pool(&server, 1);
    let holder = {
        let pool = pool.clone();
        green_core::spawn(move || pool.get().unwrap().blpop::<_, ()>("list", 0.0))
    };
    let mut watching = connect(&server);
    let mut blocked = |count| {
        let line = format!("blocked_clients:{count}\r\n");
        eventually(&line, || {
            let mut info = redis::cmd("INFO");
            let info: String = info.arg("clients").query(&mut watching).unwrap();
            info.contains(&line)
        });
    };
    blocked(1);
    let error = pool.get_timeout(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, GetError::TimedOut(_)), "{error}");
    holder.kill();
    assert!(matches!(holder.into_result(), Err(Failure::Killed)));
    blocked(0);
    // Its connection was in the middle of a question: another one has come.
    let mut redis = pool.get().unwrap();
    let _: () = redis.rpush("list", 1).unwrap();
    assert_eq!(redis.llen::<_, u32>("list").unwrap(), 1, "nobody pops it");
}

#[test]
fn connections_that_the_server_closed_are_replaced() {
    let server = server_or_skip!();
    let pool = pool(&server, 3);
    let mut held: Vec<_> = (0..3).map(|_| pool.get().unwrap()).collect();
    for redis in &mut held {
        assert!(redis.check_connection());
    }
    drop(held);
    assert_eq!(pool.idle(), 3);
    let mut other = connect(&server);
    let killed: u32 = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query(&mut other)
        .unwrap();
    assert_eq!(killed, 3);
    let _: () = pool.get().unwrap().set("key", 1).unwrap();
    assert_eq!(pool.idle(), 1, "the other two were found dead");
}

#[test]
fn no_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let pool = Pool::new(
        Manager {
            address,
            limit: None,
        },
        1,
    );
    for _ in 0..3 {
        let error = pool.get().unwrap_err();
        assert!(error.is_connection_refusal(), "{error}");
    }
    assert_eq!(pool.taken(), 0);
}

#[expect(
    clippy::print_stderr,
    reason = "what was not tested must not look as if it was"
)]
fn start() -> Option<RedisServer> {
    let server = RedisServer::start().unwrap();
    if server.is_none() {
        eprintln!(
            "SKIPPED: there is no redis-server on this machine (apt-get install redis-server)"
        );
    }
    server
}

fn connect(server: &RedisServer) -> Connection {
    let result: RedisResult<_> = Connection::connect(server.address, None);
    result.unwrap()
}

fn pool(server: &RedisServer, max_size: usize) -> Pool<Manager> {
    let (address, limit) = (server.address, None);
    Pool::new(Manager { address, limit }, max_size)
}
