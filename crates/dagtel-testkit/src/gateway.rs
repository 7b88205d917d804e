//! A gateway on loopback, by HTTPS with a certificate authority of its own or in the clear, that answers as a test
//! says.

use std::collections::HashMap;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dagtel_usage::{Environment, Gateway};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::tls::{Authority, server_config};

/// The name in the certificates that no resolver knows.
pub const NAME: &str = "telemetry.example";
/// How long a test waits for what has to come, before it fails.
pub const HUNG: Duration = Duration::from_secs(60);

/// A connection, encrypted or not.
pub trait Stream: Read + Write + Send {
    /// The socket below.
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref()
    }
}

/// Answers one request; the connection is kept if it returns true.
pub type Answer = dyn Fn(&mut dyn Stream, &Stop) -> bool + Send + Sync;

/// Tells the threads of a server to end.
#[derive(Debug, Default)]
pub struct Stop(Mutex<bool>, Condvar);

impl Stop {
    /// Waits until the server ends, but at most as long as that. Returns whether it ends.
    pub fn wait(&self, at_most: Duration) -> bool {
        let told = locked(&self.0);
        *self.1.wait_timeout_while(told, at_most, |told| !*told).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Tells them.
    pub fn tell(&self) {
        *locked(&self.0) = true;
        self.1.notify_all();
    }
}

/// A gateway of usage events on loopback, which notes what it is asked. It ends with the value.
pub struct Server {
    address: SocketAddr,
    authority: Authority,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    tls: Option<Arc<ServerConfig>>,
    answer: Box<Answer>,
    heads: Mutex<Vec<String>>,
    /// How many connections there have been, and those that are open.
    sockets: Mutex<(usize, HashMap<usize, TcpStream>)>,
    stop: Stop,
}

impl Server {
    /// By HTTPS.
    ///
    /// # Panics
    /// Without a port or a temporary directory, as all servers.
    pub fn https(answer: impl Fn(&mut dyn Stream, &Stop) -> bool + Send + Sync + 'static) -> Self {
        let authority = Authority::new("gateway");
        let tls = server_config(&authority.sign(&["127.0.0.1", NAME]), None);
        Self::start(Some(tls), authority, Box::new(answer))
    }

    /// In the clear.
    pub fn http(answer: impl Fn(&mut dyn Stream, &Stop) -> bool + Send + Sync + 'static) -> Self {
        Self::start(None, Authority::new("nobody"), Box::new(answer))
    }

    fn start(tls: Option<Arc<ServerConfig>>, authority: Authority, answer: Box<Answer>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let shared =
            Shared { tls, answer, heads: Mutex::default(), sockets: Mutex::default(), stop: Stop::default() };
        let shared = Arc::new(shared);
        let own = shared.clone();
        let acceptor = thread::spawn(move || {
            let mut connections = Vec::new();
            for socket in listener.incoming().flatten() {
                if own.stop.wait(Duration::ZERO) {
                    break;
                }
                let number = own.connected(&socket);
                let own = own.clone();
                connections.push(thread::spawn(move || own.serve(socket, number)));
            }
            for connection in connections {
                connection.join().expect("no connection panics");
            }
        });
        Self { address, authority, shared, acceptor: Some(acceptor) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The template of a gateway at this server, by a name in its certificate.
    pub fn gateway_at(&self, host: &str) -> Gateway {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        let port = self.address.port();
        format!("{scheme}://{host}:{port}/cosmos/{{telemetry_version}}/{{event_type}}?{{query_string}}")
            .parse()
            .expect("the address of a gateway")
    }

    /// The template of a gateway at this server.
    pub fn gateway(&self) -> Gateway {
        self.gateway_at("127.0.0.1")
    }

    /// The file with the certificate authority.
    pub fn authority(&self) -> PathBuf {
        self.authority.file()
    }

    /// An environment that trusts this server and has these variables.
    pub fn environment(&self, variables: &[(&str, &str)]) -> Environment {
        let mut set: Vec<(String, std::ffi::OsString)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
        if !set.iter().any(|(name, _)| name == "SSL_CERT_FILE") {
            set.push(("SSL_CERT_FILE".to_owned(), self.authority().into()));
        }
        Environment::new(move |name| {
            set.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        })
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        locked(&self.shared.heads).clone()
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        locked(&self.shared.sockets).0
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.tell();
        for socket in locked(&self.shared.sockets).1.values() {
            // One that the other side has closed needs no closing.
            let _ = socket.shutdown(Shutdown::Both);
        }
        // Wakes the acceptor, which waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take()
            && acceptor.join().is_err()
            && !thread::panicking()
        {
            panic!("the server panicked");
        }
    }
}

impl Shared {
    /// Notes a connection and gives it a number.
    fn connected(&self, socket: &TcpStream) -> usize {
        let mut sockets = locked(&self.sockets);
        sockets.0 += 1;
        let number = sockets.0;
        sockets.1.insert(number, socket.try_clone().expect("a socket has two handles"));
        number
    }

    fn serve(&self, socket: TcpStream, number: usize) {
        let mut stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(socket),
            Some(tls) => {
                let session = ServerConnection::new(tls.clone()).expect("the configuration is sound");
                Box::new(StreamOwned::new(session, socket))
            }
        };
        while let Some(head) = read_head(stream.as_mut()) {
            locked(&self.heads).push(head);
            if !(self.answer)(stream.as_mut(), &self.stop) {
                break;
            }
        }
        // The last handle goes with the stream.
        locked(&self.sockets).1.remove(&number);
    }
}

/// Reads up to the empty line; nothing when the connection ends before it.
pub fn read_head(stream: &mut (impl Read + ?Sized)) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
    String::from_utf8(head).ok()
}

/// An answer of a status line and headers, without a body.
pub fn says(head: &'static str) -> impl Fn(&mut dyn Stream, &Stop) -> bool + Send + Sync {
    move |stream, _| {
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).is_ok()
    }
}

/// The lock, even if a thread panicked with it.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
