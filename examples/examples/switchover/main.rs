//! A blocking program of 300 lines, made green by one line.
//!
//! `program.rs` is a bank: a TCP server with a thread for each client, and its clients; with mutexes, a condition
//! variable, channels, a barrier, scoped threads, datagrams, thread-locals. It says `std` throughout. It is compiled
//! twice, not a letter changed: as it is, and below the line `use green as std;`. Both behave the same; with that line
//! it serves thousands of clients at once.
//!
//!     cargo run --release -p green-examples --example switchover -- 5000

use std::io;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

mod on_os_threads {
    include!("program.rs");
}

mod on_green_threads {
    use green as std; // the switching line

    include!("program.rs");
}

fn main() -> io::Result<()> {
    let few = 50;
    let many = most_clients()?;

    let begun = Instant::now();
    let theirs = on_os_threads::run(few)?;
    println!(
        "std:   {few} clients in {:.1?}: {theirs:?}",
        begun.elapsed()
    );

    let begun = Instant::now();
    let ours = on_green_threads::run(few)?;
    println!("green: {few} clients in {:.1?}: {ours:?}", begun.elapsed());
    // The two `Report`s are different types of the same text.
    assert_eq!(format!("{theirs:?}"), format!("{ours:?}"));

    let begun = Instant::now();
    let crowd = on_green_threads::run(many)?;
    println!(
        "green: {many} clients in {:.1?}: {crowd:?}",
        begun.elapsed()
    );
    assert_eq!(crowd.connected, many);
    assert_eq!(crowd.audited, many);
    assert_eq!(crowd.refused, many);
    assert_eq!(crowd.total, 100 * many as u64 + 1_000);
    assert_eq!(crowd.busiest, 5);
    Ok(())
}

/// How many clients the command line asks for, or 5,000; fewer where the system does not allow two descriptors for each.
fn most_clients() -> io::Result<usize> {
    let wanted = match std::env::args().nth(1) {
        Some(argument) => argument.parse().map_err(io::Error::other)?,
        None => 5_000,
    };
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )?;
    let room = limit.maximum.map_or(usize::MAX, |most| {
        usize::try_from(most).map_or(usize::MAX, |most| most.saturating_sub(200) / 2)
    });
    if room < wanted {
        println!("no descriptors for {wanted} clients: {room} instead");
    }
    Ok(wanted.min(room))
}
