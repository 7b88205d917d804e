//! Datagrams to a daemon.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{sleep, timeout};

/// Bytes of a datagram: what fits into an Ethernet frame of 1500 behind the headers of IPv6 and UDP.
const DATAGRAM_BYTES: usize = 1432;
/// Datagrams sent at a stretch. Then comes a rest, because a daemon that is not fast enough loses what its socket has no
/// room for: 212,992 bytes by default on Linux, about ninety datagrams.
const BURST: usize = 8;
const REST: Duration = Duration::from_millis(5);
/// How long an address is believed before the name is looked up again.
const BELIEVED: Duration = Duration::from_secs(60);
/// How long looking up a name may take.
const LOOKUP: Duration = Duration::from_secs(5);
/// How long a host may take to say that nobody listens.
const SILENCE: Duration = Duration::from_millis(200);
/// How long after a datagram its host's answer that nobody listens may come: a round trip, and what a busy machine takes for
/// it, even to itself.
const OBJECTION: Duration = Duration::from_millis(50);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A socket of which the daemon always sees the same port, for as long as its address stays the same.
#[derive(Debug)]
pub(super) struct Socket {
    host: String,
    port: u16,
    /// The socket, where it goes, and when that was looked up.
    open: Option<(UdpSocket, SocketAddr, Instant)>,
    /// Counts addresses of a name at which nobody was.
    refused: usize,
}

impl Socket {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, open: None, refused: 0 }
    }

    /// Sends texts, each whole if it fits, in as few datagrams as they fit in; `""` is nothing to send. Returns how many
    /// of them, from the first on, were sent for all that is known.
    pub(super) async fn send<'a>(
        &mut self,
        texts: impl Iterator<Item = &'a str> + Clone,
    ) -> (usize, io::Result<()>) {
        let datagrams = packed(texts.clone());
        if datagrams.is_empty() {
            return (texts.count(), Ok(()));
        }
        if let Err(error) = self.connect().await {
            return (0, Err(error));
        }
        let mut sent = Vec::with_capacity(datagrams.len());
        for (place, datagram) in datagrams.iter().enumerate() {
            if place > 0 && place % BURST == 0 {
                sleep(REST).await;
            }
            if let Err(error) = self.send_one(datagram.text.as_bytes()).await {
                return (sure(&sent, &error), Err(self.away(error)));
            }
            sent.push((Instant::now(), datagram.texts));
        }
        if let Err(error) = self.objection(OBJECTION).await {
            return (sure(&sent, &error), Err(self.away(error)));
        }
        debug_assert_eq!(sent.last().map(|(_, texts)| *texts), Some(texts.clone().count()));
        (texts.count(), Ok(()))
    }

    /// Waits so long for somebody to object to what was sent.
    async fn objection(&self, patience: Duration) -> io::Result<()> {
        let Some((socket, ..)) = &self.open else { return Err(ErrorKind::NotConnected.into()) };
        let began = Instant::now();
        loop {
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
            if began.elapsed() >= patience {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }

    /// Sends nothing, and waits for somebody to object.
    pub(super) async fn probe(mut self) -> io::Result<SocketAddr> {
        self.connect().await?;
        let Some((socket, address, _)) = &self.open else { return Err(ErrorKind::NotConnected.into()) };
        socket.send(b"").await?;
        self.objection(SILENCE).await?;
        Ok(*address)
    }

    async fn send_one(&self, datagram: &[u8]) -> io::Result<()> {
        let Some((socket, ..)) = &self.open else { return Err(ErrorKind::NotConnected.into()) };
        loop {
            match socket.send(datagram).await {
                Ok(_) => return Ok(()),
                // The device has no room just now.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
                    sleep(REST).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Closes the socket: a name may have an address of each kind, and a daemon listen on one of them.
    fn away(&mut self, error: io::Error) -> io::Error {
        self.refused += 1;
        self.open = None;
        error
    }

    async fn connect(&mut self) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|(.., looked_up)| looked_up.elapsed() < BELIEVED) {
            return Ok(());
        }
        let name = (&*self.host, self.port);
        let no_answer =
            || io::Error::other(format!("the name {:?} could not be looked up in time", self.host));
        let looked_up = match timeout(LOOKUP, lookup_host(name)).await {
            Ok(looked_up) => looked_up.map(Iterator::collect::<Vec<_>>),
            Err(_) => Err(no_answer()),
        };
        let addresses = match looked_up {
            Ok(addresses) if !addresses.is_empty() => addresses,
            // The address of before may still be right while nobody can tell.
            _ if self.open.is_some() => return Ok(()),
            Ok(_) => return Err(io::Error::other(format!("the name {:?} has no address", self.host))),
            Err(error) => return Err(error),
        };
        if let Some((_, address, at)) = &mut self.open
            && addresses.contains(address)
        {
            *at = Instant::now();
            return Ok(());
        }
        let address = addresses[self.refused % addresses.len()];
        let any: IpAddr =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(address).await?;
        self.open = Some((socket, address, Instant::now()));
        Ok(())
    }
}

/// How many texts were taken for all that is known, of the datagrams that were sent: when each was, and how many texts were
/// whole with it. That nobody listens is said of any that went before it, and a daemon that ended has forgotten those of the
/// last moments; any other error is of the last one or of what follows it.
fn sure(sent: &[(Instant, usize)], error: &io::Error) -> usize {
    let mut earlier = sent.iter().rev();
    let sure = if error.kind() == ErrorKind::ConnectionRefused {
        earlier.find(|(at, _)| at.elapsed() >= OBJECTION)
    } else {
        earlier.nth(1)
    };
    sure.map_or(0, |(_, texts)| *texts)
}

/// What is sent at once, and how many texts are whole once it is.
#[derive(Debug, Default, PartialEq)]
struct Datagram {
    text: String,
    texts: usize,
}

/// Puts texts together, each whole if it fits, else its lines, each of which goes alone if it is too long.
fn packed<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Datagram> {
    let mut datagrams: Vec<Datagram> = Vec::new();
    let mut add = |part: &str, texts: usize| match datagrams.last_mut() {
        Some(last) if part.is_empty() => last.texts = texts,
        Some(last) if last.text.len() + 1 + part.len() <= DATAGRAM_BYTES => {
            last.text.push('\n');
            last.text.push_str(part);
            last.texts = texts;
        }
        _ if part.is_empty() => {}
        _ => datagrams.push(Datagram { text: part.to_owned(), texts }),
    };
    for (place, text) in texts.enumerate() {
        if text.len() <= DATAGRAM_BYTES {
            add(text, place + 1);
            continue;
        }
        text.lines().for_each(|line| add(line, place));
        add("", place + 1);
    }
    datagrams
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its error came when all was sent, on a busy machine, and the datagrams before the last were taken for received.
    #[test]
    fn what_went_to_a_daemon_that_was_away_already_is_not_sure_however_late_that_is_said() {
        let now = Instant::now();
        let long_ago = now.checked_sub(2 * OBJECTION).unwrap();
        let refused = io::Error::from(ErrorKind::ConnectionRefused);
        assert_eq!(sure(&[(now, 4), (now, 7), (now, 9)], &refused), 0);
        assert_eq!(sure(&[(long_ago, 4), (now, 7), (now, 9)], &refused), 4);
        let too_long = io::Error::from_raw_os_error(90);
        assert_eq!(sure(&[(now, 4), (now, 7), (now, 9)], &too_long), 7);
        assert_eq!(sure(&[(now, 4)], &too_long), 0);
    }

    #[test]
    fn texts_are_kept_together_and_datagrams_are_bounded() {
        let (short, long) = ("a:1|c", "b".repeat(DATAGRAM_BYTES - 6));
        let many = vec!["c:1|ms"; 400].join("\n");
        let texts = [short, "", &long, short, &many, "", short];
        let datagrams = packed(texts.into_iter());
        assert_eq!(datagrams[0], Datagram { text: format!("{short}\n{long}"), texts: 3 });
        assert!(datagrams.iter().all(|datagram| datagram.text.len() <= DATAGRAM_BYTES));
        let all: Vec<_> = datagrams.iter().flat_map(|datagram| datagram.text.lines()).collect();
        assert_eq!(all.len(), 2 + 1 + 400 + 1);
        let whole: Vec<_> = datagrams.iter().map(|datagram| datagram.texts).collect();
        assert_eq!(whole, [3, 4, 7]);
        assert!(packed(["", ""].into_iter()).is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_goes_alone() {
        let long = "x".repeat(2 * DATAGRAM_BYTES);
        let datagrams = packed(["a:1|c", &long, "b:1|c"].into_iter());
        assert_eq!(datagrams.iter().map(|datagram| datagram.texts).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
