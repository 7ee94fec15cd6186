//! `std::net`, green: what std's module has, under the same names.

pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};

pub use crate::addr::ToSocketAddrs;
pub use crate::resolve::lookup_host;
pub use crate::tcp::{Incoming, IntoIncoming, ListenOptions, TcpListener, TcpStream};
pub use crate::udp::UdpSocket;
