//! A look into a running program, over TCP: who is there, where they wait, and an end for one of them.
//!
//! Shows `backdoor::BackdoorServer`, which a person would talk to with `nc` or `telnet`; here a client does. One of three
//! workers has lost its way: it waits for something that never comes. `ps` shows that it waits for long, `trace` where, and
//! `kill` ends it.
//!
//!     cargo run -p green-examples --example backdoor

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use green::backdoor::BackdoorServer;
use green::event::Event;
use green::net::TcpStream;
use green::{Builder, Failure};

fn main() -> io::Result<()> {
    let console = BackdoorServer::bind("127.0.0.1:0")?.idle_timeout(Duration::from_secs(30));
    console.start()?;
    println!("the console is at {}", console.address());

    let jobs = Arc::new(Event::new());
    let workers: Vec<_> = (1..=3)
        .map(|number| {
            let jobs = Arc::clone(&jobs);
            let worker = Builder::new().name(format!("worker {number}"));
            worker.spawn(move || work(number, &jobs))
        })
        .collect::<io::Result<_>>()?;

    let mut client = Client::connect(&console)?;
    println!("{}", client.ask("stats")?);
    let lost = loop {
        let ps = client.ask("ps")?;
        let lost = ps
            .lines()
            .find(|line| line.contains("worker 2") && line.contains("waits for event"));
        if let Some(lost) = lost {
            println!("{ps}");
            break lost.split(' ').next().unwrap_or_default().to_owned();
        }
        green::sleep(Duration::from_millis(1));
    };
    println!(
        "where is {lost}?\n{}",
        client.ask(&format!("trace {lost}"))?
    );
    println!("{}", client.ask(&format!("kill {lost}"))?);
    assert!(matches!(workers[1].get(), Err(Failure::Killed)));
    jobs.set();
    for worker in [&workers[0], &workers[2]] {
        assert!(worker.get().is_ok());
    }

    println!("{}", client.ask("quit")?);
    Ok(())
}

fn work(number: u32, jobs: &Event) {
    if number == 2 {
        wait_for_an_answer();
    }
    jobs.wait();
}

/// It asked nobody.
#[inline(never)]
fn wait_for_an_answer() {
    Event::new().wait();
}

/// Who talks to a console.
struct Client {
    lines: BufReader<TcpStream>,
}

impl Client {
    fn connect(console: &BackdoorServer) -> io::Result<Self> {
        let mut client = Self {
            lines: BufReader::new(TcpStream::connect(console.address())?),
        };
        println!("{}", client.reply()?);
        Ok(client)
    }

    fn ask(&mut self, command: &str) -> io::Result<String> {
        writeln!(self.lines.get_ref(), "{command}")?;
        self.reply()
    }

    /// What comes before the line with a full stop alone.
    fn reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        for line in self.lines.by_ref().lines() {
            match line?.as_str() {
                "." => return Ok(reply),
                line => reply.extend([line, "\n"]),
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
