//! A program written for `std::net`, made green by its imports.
//!
//! Shows the drop-in: `program.rs` is plain code that names `net` and `spawn`. It is compiled twice, not
//! a letter changed: with std's it takes an OS thread for each connection, with ours a green thread.
//!
//!     cargo run -p green-examples --example drop_in

use std::io;

mod on_os_threads {
    use std::net;
    use std::thread::spawn;

    include!("program.rs");
}

mod on_green_threads {
    use green::net;
    use green::spawn;

    include!("program.rs");
}

fn main() -> io::Result<()> {
    let on_os_threads = on_os_threads::sum_of_squares()?;
    let on_green_threads = on_green_threads::sum_of_squares()?;
    println!("on OS threads: {on_os_threads}; on green threads: {on_green_threads}");
    assert_eq!(on_os_threads, on_green_threads);
    Ok(())
}
