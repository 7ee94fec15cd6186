// A bank: a server with a thread for each client, and its clients. It is written against std, as any blocking program,
// and knows nothing of green: `main.rs` compiles it twice.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What a run of the program found out. It depends on the number of clients alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// How many clients were connected at the same time.
    pub(super) connected: usize,
    /// What is in all accounts in the end.
    pub(super) total: u64,
    /// How many transfers the auditor has seen.
    pub(super) audited: usize,
    /// How many requests were refused.
    pub(super) refused: usize,
    /// The most requests that one thread of the server has served.
    pub(super) busiest: usize,
    /// How often the bank was opened.
    pub(super) openings: usize,
}

/// Runs a bank with so many clients, all of them at once, and closes it.
pub(super) fn run(clients: usize) -> io::Result<Report> {
    let bank = Arc::new(Bank::new());
    let (audit, records) = mpsc::sync_channel(64);
    let auditor = thread::Builder::new()
        .name("auditor".to_owned())
        .spawn(move || audit_all(&records))?;
    let (closing, closed) = UnixStream::pair()?;
    let server = Server::start(Arc::clone(&bank), audit, closed)?;
    let heart = Heart::start()?;

    let everybody = Barrier::new(clients + 1);
    let balances: io::Result<u64> = thread::scope(|scope| {
        let tellers: Vec<_> = (0..clients)
            .map(|number| {
                let (everybody, address) = (&everybody, server.address);
                scope.spawn(move || client(number, clients, address, everybody))
            })
            .collect();
        // Everybody is connected now, and waits as well.
        everybody.wait();
        tellers
            .into_iter()
            .map(|teller| teller.join().expect("a client does not panic"))
            .sum()
    });
    let paid = balances?;

    heart.stop()?;
    let connected = bank.peak.load(Ordering::Relaxed);
    drop(closing);
    server.join()?;
    let audited = auditor.join().expect("the auditor does not panic");
    let total = bank.total();
    assert_eq!(total, paid + *DEPOSIT, "no money is lost or made");
    Ok(Report {
        connected,
        total,
        audited,
        refused: bank.refused.load(Ordering::Relaxed),
        busiest: *bank.busiest.lock().unwrap(),
        openings: bank.openings.load(Ordering::Relaxed),
    })
}

/// What the bank itself deposits when it opens.
static DEPOSIT: LazyLock<u64> = LazyLock::new(|| {
    // An initialiser may wait as any other code.
    thread::sleep(Duration::from_millis(1));
    1_000
});

// `thread_local!` alone would be the prelude's, std's own; by its path it is switched as everything else.
std::thread_local! {
    /// How many requests this thread has served.
    static SERVED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

// -- the bank -----------------------------------------------------------------------------------------------------------

#[derive(Default)]
struct Account {
    balance: Mutex<u64>,
    changed: Condvar,
}

struct Bank {
    accounts: RwLock<HashMap<String, Arc<Account>>>,
    opening: Once,
    /// How often it was opened: once, however many clients come first.
    openings: AtomicUsize,
    connected: AtomicUsize,
    peak: AtomicUsize,
    refused: AtomicUsize,
    busiest: Mutex<usize>,
}

impl Bank {
    fn new() -> Self {
        Self {
            accounts: RwLock::default(),
            opening: Once::new(),
            openings: AtomicUsize::new(0),
            connected: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            busiest: Mutex::new(0),
        }
    }

    /// The account of that name, which is opened if there is none.
    fn account(&self, name: &str) -> Arc<Account> {
        self.opening.call_once(|| {
            self.openings.fetch_add(1, Ordering::Relaxed);
            let own = Account::default();
            *own.balance.lock().unwrap() = *DEPOSIT;
            let mut accounts = self.accounts.write().unwrap();
            accounts.insert("bank".to_owned(), Arc::new(own));
        });
        if let Some(account) = self.accounts.read().unwrap().get(name) {
            return Arc::clone(account);
        }
        let mut accounts = self.accounts.write().unwrap();
        Arc::clone(accounts.entry(name.to_owned()).or_default())
    }

    fn pay_in(&self, name: &str, amount: u64) -> u64 {
        let account = self.account(name);
        let mut balance = account.balance.lock().unwrap();
        *balance += amount;
        account.changed.notify_all();
        *balance
    }

    /// Moves money; false if there is not enough.
    fn transfer(&self, from: &str, to: &str, amount: u64) -> bool {
        let account = self.account(from);
        let mut balance = account.balance.lock().unwrap();
        let Some(left) = balance.checked_sub(amount) else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        *balance = left;
        drop(balance);
        self.pay_in(to, amount);
        true
    }

    /// Waits until there is so much on an account; the balance, or what there was after ten seconds.
    fn wait_for(&self, name: &str, amount: u64) -> u64 {
        let account = self.account(name);
        let balance = account.balance.lock().unwrap();
        let (balance, _) = account
            .changed
            .wait_timeout_while(balance, Duration::from_secs(10), |now| *now < amount)
            .unwrap();
        *balance
    }

    fn total(&self) -> u64 {
        let accounts = self.accounts.read().unwrap();
        accounts
            .values()
            .map(|account| *account.balance.lock().unwrap())
            .sum()
    }
}

/// Counts transfers until nobody can make any.
fn audit_all(records: &Receiver<u64>) -> usize {
    assert_eq!(thread::current().name(), Some("auditor"));
    records.iter().filter(|&amount| amount > 0).count()
}

// -- the server ---------------------------------------------------------------------------------------------------------

struct Server {
    address: SocketAddr,
    acceptor: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Serves until the other end of `closed` is dropped.
    fn start(bank: Arc<Bank>, audit: SyncSender<u64>, closed: UnixStream) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let is_closing = Arc::new(OnceLock::new());
        thread::spawn({
            let is_closing = Arc::clone(&is_closing);
            move || -> io::Result<()> {
                let mut nothing = [0];
                (&closed).read_exact(&mut nothing).unwrap_err();
                is_closing.set(Instant::now()).expect("the only closer");
                TcpStream::connect(address).map(drop)
            }
        });
        let acceptor = thread::spawn(move || {
            let mut tellers = Vec::new();
            for stream in listener.incoming() {
                let stream = stream?;
                if is_closing.get().is_some() {
                    break;
                }
                let (bank, audit) = (Arc::clone(&bank), audit.clone());
                tellers.push(thread::spawn(move || serve(&bank, &audit, &stream)));
            }
            for teller in tellers {
                teller.join().expect("a teller does not panic")?;
            }
            Ok(())
        });
        Ok(Self { address, acceptor })
    }

    fn join(self) -> io::Result<()> {
        self.acceptor.join().expect("the acceptor does not panic")
    }
}

/// Answers one client, line by line.
fn serve(bank: &Bank, audit: &SyncSender<u64>, stream: &TcpStream) -> io::Result<()> {
    let connected = bank.connected.fetch_add(1, Ordering::Relaxed) + 1;
    bank.peak.fetch_max(connected, Ordering::Relaxed);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        SERVED.set(SERVED.get() + 1);
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words[..] {
            ["hello"] => "welcome".to_owned(),
            ["pay", name, amount] => bank.pay_in(name, number(amount)?).to_string(),
            ["move", from, to, amount] => {
                let done = bank.transfer(from, to, number(amount)?);
                let record = if done { number(amount)? } else { 0 };
                audit.send(record).map_err(io::Error::other)?;
                done.to_string()
            }
            ["wait", name, amount] => bank.wait_for(name, number(amount)?).to_string(),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        writeln!(&mut &*stream, "{answer}")?;
    }
    bank.connected.fetch_sub(1, Ordering::Relaxed);
    let mut busiest = bank.busiest.lock().unwrap();
    *busiest = SERVED.get().max(*busiest);
    Ok(())
}

fn number(text: &str) -> io::Result<u64> {
    text.parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, text))
}

// -- the clients --------------------------------------------------------------------------------------------------------

/// Pays 100 in, sends 30 to the next client, waits for what the one before sends, and tries to spend too much. Returns
/// what it paid in.
fn client(
    number: usize,
    clients: usize,
    address: SocketAddr,
    everybody: &Barrier,
) -> io::Result<u64> {
    let connection = Connection::open(address);
    // Also if that failed: the others count on this one.
    everybody.wait();
    let mut connection = connection?;

    let (own, next) = (number, (number + 1) % clients);
    let paid = 100;
    connection.ask(&format!("pay client{own} {paid}"))?;
    let moved = connection.ask(&format!("move client{own} client{next} 30"))?;
    assert_eq!(moved, "true");
    let balance = connection.ask(&format!("wait client{own} 100"))?;
    assert_eq!(balance, "100", "30 went, and 30 came");
    let moved = connection.ask(&format!("move client{own} client{next} 1000"))?;
    assert_eq!(moved, "false");
    connection.stream.get_ref().shutdown(Shutdown::Write)?;
    Ok(paid)
}

/// A client's side of a connection.
struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut connection = Self {
            stream: BufReader::new(stream),
        };
        assert_eq!(connection.ask("hello")?, "welcome");
        Ok(connection)
    }

    fn ask(&mut self, request: &str) -> io::Result<String> {
        writeln!(self.stream.get_mut(), "{request}")?;
        let mut answer = String::new();
        self.stream.read_line(&mut answer)?;
        Ok(answer.trim_end().to_owned())
    }
}

// -- the heartbeat ------------------------------------------------------------------------------------------------------

/// A thread that sends datagrams to itself until it is unparked with the order to stop.
struct Heart {
    stop: mpsc::Sender<()>,
    beating: JoinHandle<io::Result<usize>>,
}

impl Heart {
    fn start() -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(socket.local_addr()?)?;
        let (stop, stopped) = mpsc::channel();
        let beating = thread::spawn(move || {
            let mut beats = 0;
            let mut echo = [0; 8];
            while stopped.try_recv().is_err() {
                socket.send(&usize::to_be_bytes(beats))?;
                beats += socket.recv(&mut echo)? / echo.len();
                assert_eq!(usize::from_be_bytes(echo) + 1, beats);
                thread::park_timeout(Duration::from_millis(50));
            }
            Ok(beats)
        });
        Ok(Self { stop, beating })
    }

    fn stop(self) -> io::Result<()> {
        self.stop.send(()).expect("the heart beats");
        self.beating.thread().unpark();
        let beats = self.beating.join().expect("the heart does not panic")?;
        assert!(beats > 0);
        Ok(())
    }
}
