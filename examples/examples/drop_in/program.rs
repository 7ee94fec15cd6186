// A server that squares numbers, and ten clients. Needs `net` and `spawn` in scope.

use std::io::{Read, Write};
use std::time::Duration;

/// Adds up the answers to ten clients.
pub(super) fn sum_of_squares() -> std::io::Result<u32> {
    let listener = net::TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    spawn(move || {
        for stream in listener.incoming().take(10) {
            let stream = stream?;
            spawn(move || square(stream));
        }
        std::io::Result::Ok(())
    });

    let mut streams = Vec::new();
    for number in 0..10 {
        let mut stream = net::TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(&[number])?;
        streams.push(stream);
    }
    let mut sum = 0;
    for mut stream in streams {
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        sum += u32::from_be_bytes(answer);
    }
    Ok(sum)
}

fn square(mut stream: net::TcpStream) -> std::io::Result<()> {
    let mut number = [0];
    stream.read_exact(&mut number)?;
    let number = u32::from(number[0]);
    stream.write_all(&(number * number).to_be_bytes())
}
