//! Free ports of 127.0.0.1.
//!
//! They are taken from below the range that the system gives to outgoing connections. From inside that range
//! a port could be lost to any connection while its owner restarts, and a client that keeps trying to reach a
//! dead owner could even end up connected to itself.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A port that nobody listens on now. A process never gets the same one twice (before all were used), and two
/// processes begin at different places; what is left of the race is met by starting again with other ports.
pub fn free() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let offset = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Relaxed);
        let port = FIRST + offset.wrapping_add(step) % COUNT;
        let port = u16::try_from(port).expect("the range lies below 65536");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("No port of 127.0.0.1 between {FIRST} and {} is free.", FIRST + COUNT)
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_port_is_given_twice() {
        let mut ports: Vec<_> = (0..50).map(|_| super::free()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
    }
}
