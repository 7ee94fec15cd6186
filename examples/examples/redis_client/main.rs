//! `redis` over green sockets and a pool: a hundred green threads on five connections.
//!
//! Shows how to bring a client along whose crate has a trait for the connection: `connection.rs` is that
//! connection. The pool, `green_examples::pool`, is r2d2's for green threads.
//!
//! Needs Debian's package `redis-server`, or another that brings a program of that name; without it this
//! says so and ends.
//!
//!     cargo run -p green-examples --example redis_client

use std::error::Error;

use green_examples::pool::Pool;
use redis::Commands;

mod connection;
mod server;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(server) = server::RedisServer::start()? else {
        println!("there is no redis-server on this machine");
        return Ok(());
    };
    let manager = connection::Manager {
        address: server.address,
        limit: None,
    };
    let pool = Pool::new(manager, 5);

    let workers: Vec<_> = (0..100)
        .map(|number| {
            let pool = pool.clone();
            green::spawn(move || {
                let mut connection = pool.get()?;
                let _: () = redis::pipe()
                    .incr("visits", 1)
                    .sadd("visitors", number % 10)
                    .query(&mut *connection)?;
                redis::RedisResult::Ok(())
            })
        })
        .collect();
    for worker in workers {
        worker.into_result()??;
    }

    let mut connection = pool.get()?;
    let visits: u32 = connection.get("visits")?;
    let visitors: u32 = connection.scard("visitors")?;
    println!("{visits} visits of {visitors} visitors");
    drop(connection);
    println!("connections: {}", pool.idle());
    Ok(())
}
