//! hyper on the hubs, without tokio: servers and clients of HTTP/1 and HTTP/2, handlers that block and that do not.
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, join, select};
use green_async::Stream;
use green_async::hyper::{Executor, Timer, blocking};
use green_core::{Config, aio, block_on, run, spawn};
use green_net::aio::{TcpListener, TcpStream};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};

type Reply = Response<Full<Bytes>>;

/// Runs `future` in a green thread of one of two hubs.
fn on_hubs<F: Future<Output = ()> + Send + 'static>(future: F) {
    Config::new().hubs(2).apply().ok();
    run(move || block_on(future));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

async fn hello(request: Request<Incoming>) -> Result<Reply, Infallible> {
    aio::sleep(Duration::from_millis(1)).await;
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(Response::new(Full::new(body)))
}

fn hello_blocking(request: Request<Incoming>) -> Result<Reply, Infallible> {
    green_core::sleep(Duration::from_millis(1));
    let body = block_on(request.into_body().collect()).unwrap().to_bytes();
    Ok(Response::new(Full::new(body)))
}

/// Serves every connection in a task of its own.
async fn serve<H, F>(version: Version, handle: H) -> SocketAddr
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Reply, Infallible>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.get_ref().local_addr().unwrap();
    aio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (stream, service) = (Stream::new(stream), service_fn(handle.clone()));
            match version {
                Version::One => {
                    let mut builder = server::conn::http1::Builder::new();
                    builder
                        .timer(Timer)
                        .header_read_timeout(Duration::from_secs(10));
                    aio::spawn(builder.serve_connection(stream, service)).detach();
                }
                Version::Two => {
                    let builder = server::conn::http2::Builder::new(Executor);
                    aio::spawn(builder.serve_connection(stream, service)).detach();
                }
            }
        }
    })
    .detach();
    addr
}

fn request(text: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .uri("http://localhost/")
        .header("host", "localhost")
        .body(Full::new(Bytes::from(text.to_owned())))
        .unwrap()
}

async fn text_of(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn connect_one(addr: SocketAddr) -> client::conn::http1::SendRequest<Full<Bytes>> {
    let stream = Stream::new(TcpStream::connect(addr).await.unwrap());
    let (sender, connection) = client::conn::http1::handshake(stream).await.unwrap();
    aio::spawn(connection).detach();
    sender
}

async fn connect_two(addr: SocketAddr) -> client::conn::http2::SendRequest<Full<Bytes>> {
    let stream = Stream::new(TcpStream::connect(addr).await.unwrap());
    let handshake = client::conn::http2::handshake(Executor, stream);
    let (sender, connection) = handshake.await.unwrap();
    aio::spawn(connection).detach();
    sender
}

#[test]
fn http1_with_an_async_handler() {
    on_hubs(async {
        let addr = serve(Version::One, hello).await;
        let mut client = connect_one(addr).await;
        for n in 0..3 {
            let text = format!("number {n}");
            // The connection is another task: it has to have seen the end of the answer before.
            client.ready().await.unwrap();
            let response = client.send_request(request(&text)).await.unwrap();
            assert_eq!(text_of(response).await, text);
        }
    });
}

#[test]
fn http1_with_a_blocking_handler() {
    on_hubs(async {
        let addr = serve(Version::One, blocking(hello_blocking)).await;
        let mut client = connect_one(addr).await;
        let response = client.send_request(request("hello")).await.unwrap();
        assert_eq!(text_of(response).await, "hello");
    });
}

#[test]
fn http2_runs_handlers_of_one_connection_at_once() {
    on_hubs(async {
        let addr = serve(Version::Two, blocking(hello_blocking)).await;
        let client = connect_two(addr).await;
        let requests = (0..50).map(|n| {
            let mut client = client.clone();
            aio::spawn(async move {
                let text = format!("number {n}");
                let response = client.send_request(request(&text)).await.unwrap();
                assert_eq!(text_of(response).await, text);
            })
        });
        aio::gather(requests).await.unwrap();
        let addr = serve(Version::Two, hello).await;
        let mut client = connect_two(addr).await;
        let response = client.send_request(request("async")).await.unwrap();
        assert_eq!(text_of(response).await, "async");
    });
}

#[test]
fn a_handler_that_panics_ends_its_connection_only() {
    on_hubs(async {
        let handle = |request: Request<Incoming>| {
            assert_ne!(request.method(), "POST", "by the handler");
            hello_blocking(request)
        };
        let addr = serve(Version::One, blocking(handle)).await;
        let mut bad = connect_one(addr).await;
        let mut post = request("");
        *post.method_mut() = hyper::Method::POST;
        assert!(bad.send_request(post).await.is_err());
        let mut client = connect_one(addr).await;
        let response = client.send_request(request("hello")).await.unwrap();
        assert_eq!(text_of(response).await, "hello");
    });
}

#[test]
fn a_thousand_green_threads_await_a_client() {
    Config::new().hubs(2).apply().ok();
    let addr = block_on(serve(Version::Two, hello));
    let clients: Vec<_> = (0..10).map(|_| block_on(connect_two(addr))).collect();
    let greens: Vec<_> = (0..1_000)
        .map(|n| {
            let mut client = clients[n % clients.len()].clone();
            spawn(move || {
                let text = format!("number {n}");
                let response = block_on(client.send_request(request(&text))).unwrap();
                assert_eq!(block_on(text_of(response)), text);
            })
        })
        .collect();
    for green in greens {
        green.get().unwrap();
    }
}

#[test]
fn select_and_join_work_inside_block_on() {
    on_hubs(async {
        let (one, other) = join!(async { 1 }, async {
            aio::sleep(Duration::from_millis(1)).await;
            2
        });
        assert_eq!(one + other, 3);
        let mut quick = std::pin::pin!(aio::sleep(Duration::from_millis(1)).fuse());
        let mut slow = std::pin::pin!(aio::sleep(Duration::from_secs(600)).fuse());
        select! {
            () = quick => {}
            () = slow => panic!("ten minutes have passed"),
        }
    });
}
