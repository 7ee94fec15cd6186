//! `extern crate green as std;` makes a whole crate green: its modules, its tests, and what derives write into it.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

extern crate green as std;

mod derives;
mod server;

use std::any::TypeId;
use std::sync::{Arc, Barrier, Mutex};
use std::{thread, time::Duration};

/// A module of unit tests, as programs have them.
#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpStream;

    #[test]
    fn the_server_answers_from_a_green_thread() {
        let server = server::Server::start().unwrap();
        let clients: Vec<_> = (0..20)
            .map(|number| {
                let address = server.address();
                thread::spawn(move || {
                    let stream = TcpStream::connect(address).unwrap();
                    writeln!(&stream, "{number}").unwrap();
                    let mut line = String::new();
                    BufReader::new(&stream).read_line(&mut line).unwrap();
                    line
                })
            })
            .collect();
        for (number, client) in clients.into_iter().enumerate() {
            assert_eq!(client.join().unwrap(), format!("{number} true\n"));
        }
        assert_eq!(server.stop(), 20);
    }

    #[test]
    fn absolute_paths_are_switched() {
        assert_eq!(
            TypeId::of::<::std::net::TcpListener>(),
            TypeId::of::<::green::net::TcpListener>()
        );
    }

    #[test]
    fn a_thread_is_a_green_thread() {
        let meet = Arc::new(Barrier::new(3));
        let order = Arc::new(Mutex::new(Vec::new()));
        let met = [0, 1, 2].map(|number| {
            let (meet, order) = (Arc::clone(&meet), Arc::clone(&order));
            thread::spawn(move || {
                assert!(::green::getcurrent().is_some());
                thread::sleep(Duration::from_millis(1));
                order.lock().unwrap().push(number);
                meet.wait().is_leader()
            })
        });
        let leaders = met.map(|thread| thread.join().unwrap());
        assert_eq!(leaders.iter().filter(|&&leader| leader).count(), 1);
        assert_eq!(order.lock().unwrap().len(), 3);
    }
}

#[test]
fn macros_of_the_prelude_work() {
    // They name std's own items by `$crate`, whatever `std` is here.
    let text = format!("{}-{:?}", vec![1, 2].len(), Some('a'));
    assert!(matches!(text.as_str(), "2-Some('a')"), "{text}");
    let mut out = String::new();
    std::fmt::Write::write_fmt(&mut out, std::format_args!("{}", std::line!())).unwrap();
    std::assert!(!out.is_empty());
}

#[test]
fn a_named_thread_local_is_green_local() {
    std::thread_local! {
        static GREEN: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    thread_local! {
        static OF_THE_OS_THREAD: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    ::green::run(|| {
        // One hub or several: a green thread that was made here with `spawn_local` shares the OS thread.
        GREEN.set(1);
        OF_THE_OS_THREAD.set(1);
        let seen = ::green::spawn_local(|| (GREEN.get(), OF_THE_OS_THREAD.get()));
        assert_eq!(seen.into_result().unwrap(), (0, 1));
    });
}
