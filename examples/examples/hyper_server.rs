//! hyper on the hubs, without tokio: a server of HTTP/1 and one of HTTP/2, and clients of both.
//!
//! Shows `green_async::Stream`, `hyper::Executor` and `hyper::blocking`: one handler is an `async fn`, the other a plain function that
//! blocks, and each of its requests has a green thread of its own, also those that come over one connection.
//!
//!     cargo run -p green-examples --example hyper_server

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use green::aio;
use green::aio::net::{TcpListener, TcpStream};
use green_async::Stream;
use green_async::hyper::{Executor, blocking};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

async fn greet(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    aio::sleep(Duration::from_millis(10)).await;
    Ok(Response::new(format!(
        "hello {}, from a future",
        request.uri().path()
    )))
}

fn greet_blocking(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    green::sleep(Duration::from_millis(10));
    Ok(Response::new(format!(
        "hello {}, from a green thread",
        request.uri().path()
    )))
}

fn main() -> Outcome<()> {
    aio::run_until_complete(async {
        let one = serve_one().await?;
        let two = serve_two().await?;

        let stream = Stream::new(TcpStream::connect(one).await?);
        let (mut client, connection) = client::conn::http1::handshake(stream).await?;
        aio::spawn(connection).detach();
        let answer = text_of(client.send_request(ask("/one")?).await?).await?;
        println!("{answer}");
        assert_eq!(answer, "hello /one, from a future");

        let stream = Stream::new(TcpStream::connect(two).await?);
        let (client, connection) = client::conn::http2::handshake(Executor, stream).await?;
        aio::spawn(connection).detach();
        let start = Instant::now();
        let asks = (0..100).map(|n| {
            let mut client = client.clone();
            aio::spawn(async move {
                let response = client.send_request(ask(&format!("/{n}"))?).await?;
                text_of(response).await
            })
        });
        for answer in aio::gather(asks).await? {
            assert!(answer?.ends_with("from a green thread"));
        }
        println!(
            "100 requests at once over one connection took {:.1?}",
            start.elapsed()
        );
        Ok(())
    })
}

/// HTTP/1, by a handler that is `async`.
async fn serve_one() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.get_ref().local_addr()?;
    aio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let builder = server::conn::http1::Builder::new();
            aio::spawn(builder.serve_connection(Stream::new(stream), service_fn(greet))).detach();
        }
    })
    .detach();
    Ok(addr)
}

/// HTTP/2, by a handler that blocks.
async fn serve_two() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.get_ref().local_addr()?;
    let handle = blocking(greet_blocking);
    aio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(handle.clone());
            let builder = server::conn::http2::Builder::new(Executor);
            aio::spawn(builder.serve_connection(Stream::new(stream), service)).detach();
        }
    })
    .detach();
    Ok(addr)
}

fn ask(path: &str) -> Outcome<Request<Empty<Bytes>>> {
    let uri = format!("http://localhost{path}");
    Ok(Request::get(uri)
        .header("host", "localhost")
        .body(Empty::new())?)
}

async fn text_of(response: Response<Incoming>) -> Outcome<String> {
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec())?)
}
