//! What the parity table lists is where std has it, and what is said to be std's is.

use std::any::TypeId;

/// Whether each pair of paths is one type.
macro_rules! same {
    ($($ours:ty = $std:ty;)+) => {
        $(assert_eq!(TypeId::of::<$ours>(), TypeId::of::<$std>(), stringify!($ours));)+
    };
}

/// Whether each pair of paths are types of the same name, but not one type.
macro_rules! ours {
    ($($ours:ty = $std:ty;)+) => {
        $(
            assert_ne!(TypeId::of::<$ours>(), TypeId::of::<$std>(), stringify!($ours));
            let name = |path: &'static str| path.rsplit("::").next();
            assert_eq!(name(std::any::type_name::<$ours>()), name(std::any::type_name::<$std>()));
        )+
    };
}

#[test]
fn types() {
    same! {
        green_net::net::AddrParseError = std::net::AddrParseError;
        green_net::net::IpAddr = std::net::IpAddr;
        green_net::net::Ipv4Addr = std::net::Ipv4Addr;
        green_net::net::Ipv6Addr = std::net::Ipv6Addr;
        green_net::net::Shutdown = std::net::Shutdown;
        green_net::net::SocketAddr = std::net::SocketAddr;
        green_net::net::SocketAddrV4 = std::net::SocketAddrV4;
        green_net::net::SocketAddrV6 = std::net::SocketAddrV6;
        green_net::os::unix::net::SocketAddr = std::os::unix::net::SocketAddr;
        green_net::os::fd::OwnedFd = std::os::fd::OwnedFd;
        green_net::os::unix::io::OwnedFd = std::os::fd::OwnedFd;
        green_net::TcpStream = green_net::net::TcpStream;
    }
    ours! {
        green_net::net::TcpListener = std::net::TcpListener;
        green_net::net::TcpStream = std::net::TcpStream;
        green_net::net::UdpSocket = std::net::UdpSocket;
        green_net::net::Incoming<'static> = std::net::Incoming<'static>;
        green_net::os::unix::net::UnixListener = std::os::unix::net::UnixListener;
        green_net::os::unix::net::UnixStream = std::os::unix::net::UnixStream;
        green_net::os::unix::net::UnixDatagram = std::os::unix::net::UnixDatagram;
        green_net::os::unix::net::Incoming<'static> = std::os::unix::net::Incoming<'static>;
    }
}

#[test]
fn modules() {
    #[expect(unused_imports, reason = "that they are there is what is tested")]
    mod of_std {
        use green_net::net::ToSocketAddrs;
        use green_net::os::linux::fs as _;
        use green_net::os::linux::net::{SocketAddrExt, TcpStreamExt};
        use green_net::os::unix::prelude::*;
        use green_net::os::unix::{ffi as _, fs as _, io as _, process as _, thread as _};
        use green_net::os::{fd as _, raw as _};
    }
    // A glob of the module brings no other module along.
    mod os {
        pub(super) const OURS: bool = true;
    }
    use green_net::net::*;
    assert!(os::OURS && Ipv4Addr::LOCALHOST.is_loopback());
}

#[test]
fn names_with_type_parameters_take_them_as_in_std() {
    use green_net::net::{TcpListener, TcpStream, UdpSocket};
    use green_net::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    let _ = TcpStream::connect::<(&str, u16)>;
    let _ = TcpListener::bind::<String>;
    let _ = UdpSocket::bind::<&str>;
    let _ = UdpSocket::connect::<&str>;
    let _ = UdpSocket::send_to::<&str>;
    let _ = UnixStream::connect::<&str>;
    let _ = UnixListener::bind::<std::path::PathBuf>;
    let _ = UnixDatagram::bind::<&str>;
    let _ = UnixDatagram::connect::<&str>;
    let _ = UnixDatagram::send_to::<&str>;
    let _ = green_net::lookup_host::<&str>;
}
