//! `use green as std;` makes one module green; a child module keeps std until it says so too.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::any::TypeId;

mod switched {
    use green as std;

    use std::collections::HashMap;
    use std::io::{self, Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::sync::{Arc, Mutex, mpsc};
    use std::thread;

    pub(crate) type Listener = TcpListener;
    pub(crate) type Lock = Mutex<u8>;
    pub(crate) type Address = std::net::SocketAddr;

    std::thread_local! {
        static WORDS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }

    /// A server that counts the words that one client sends: what it counted, and where it ran.
    pub(crate) fn count(text: &str) -> io::Result<(HashMap<String, u32>, Vec<bool>)> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Mutex::new(HashMap::new()));
        let (sender, receiver) = mpsc::channel();
        let server = thread::Builder::new().name("server".to_owned()).spawn({
            let counts = Arc::clone(&counts);
            move || {
                let (mut stream, _) = listener.accept()?;
                let mut text = String::new();
                stream.read_to_string(&mut text)?;
                for word in text.split_whitespace() {
                    *counts.lock().unwrap().entry(word.to_owned()).or_insert(0) += 1;
                    WORDS.set(WORDS.get() + 1);
                }
                sender.send(green::getcurrent().is_some()).unwrap();
                stream.write_all(&WORDS.get().to_be_bytes())
            }
        })?;
        assert_eq!(server.thread().name(), Some("server"));
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(text.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut total = [0; 4];
        stream.read_exact(&mut total)?;
        server.join().unwrap()?;
        let counts = counts.lock().unwrap().clone();
        assert_eq!(u32::from_be_bytes(total), counts.values().sum());
        assert_eq!(WORDS.get(), 0, "the server's alone");
        Ok((counts, receiver.iter().collect()))
    }

    pub(crate) mod child {
        pub(crate) type Listener = std::net::TcpListener;
    }

    pub(crate) mod told_too {
        use green as std;

        pub(crate) type Listener = std::net::TcpListener;
    }
}

#[test]
fn a_module_is_switched() {
    let (counts, green) = switched::count("so it goes and so on").unwrap();
    assert_eq!(counts["so"], 2);
    assert_eq!(counts.len(), 5);
    assert_eq!(green, [true]);
}

#[test]
fn its_children_are_not() {
    let std = TypeId::of::<std::net::TcpListener>();
    let green = TypeId::of::<green::net::TcpListener>();
    assert_eq!(TypeId::of::<switched::Listener>(), green);
    assert_eq!(TypeId::of::<switched::child::Listener>(), std);
    assert_eq!(TypeId::of::<switched::told_too::Listener>(), green);
    assert_eq!(
        TypeId::of::<switched::Lock>(),
        TypeId::of::<green::sync::Mutex<u8>>()
    );
}

#[test]
fn what_is_not_green_is_stds() {
    assert_eq!(
        TypeId::of::<switched::Address>(),
        TypeId::of::<std::net::SocketAddr>()
    );
}
