//! Encrypted receivers: what keeps a connection from coming about is told in a sentence, and loses nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use dagtel_receiver::{Answer, Received, ReceiverOptions, ReceiverThread};
use dagtel_ship::{Delivery, Exporter, Protocol, TlsFiles, Verdict};
use dagtel_testkit::tls::{Authority, Pair, TlsDoor, server_config};
use tokio::runtime::Runtime;

use crate::outbox::{HUNG, Outbox, done, span_names, spans};

const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

/// A receiver without TLS, which tells the names in what it takes.
struct Plain {
    receiver: ReceiverThread,
    names: Receiver<String>,
}

impl Plain {
    fn start() -> Self {
        let (send, names) = channel();
        let send = std::sync::Mutex::new(send);
        let sink = Arc::new(move |request: Received| {
            if let Received::Traces(request) = request {
                let _ = send.lock().expect("no sink panics").send(span_names(&request));
            }
            Answer::Accept
        });
        let receiver = ReceiverThread::start(ReceiverOptions::any_port(), sink);
        Self { receiver: receiver.expect("loopback has free ports"), names }
    }

    fn address(&self, protocol: Protocol) -> SocketAddr {
        let http = protocol == Protocol::HttpProtobuf;
        let address = if http { self.receiver.http_addr() } else { self.receiver.grpc_addr() };
        address.expect("it listens for both")
    }
}

fn url(scheme: &str, host: &str, address: SocketAddr, protocol: Protocol) -> String {
    let path = if protocol == Protocol::HttpProtobuf { "/" } else { "" };
    format!("{scheme}://{host}:{}{path}", address.port())
}

fn files(ca: Option<&Authority>, client: Option<&Pair>) -> TlsFiles {
    let mut files = TlsFiles::default();
    files.ca = ca.map(Authority::file);
    files.cert = client.map(|pair| pair.cert.clone());
    files.key = client.map(|pair| pair.key.clone());
    files
}

fn delivery(tls: &TlsFiles) -> Delivery {
    let mut delivery = Delivery::default();
    delivery.tls = tls.clone();
    delivery
}

/// What becomes of a frame that is sent there, and of the same when the way is right.
fn play(what: &str, wrong: (&str, &TlsFiles), right: (&str, &TlsFiles), wanted: &str, plain: &Plain) -> bool {
    let outbox = Outbox::with(&[spans(&["a"])]);
    let shipper = outbox.ship_by(wrong.0, delivery(wrong.1));
    let (_, status) = shipper.destinations().next().expect("there is one");
    let status = status.clone();
    while status.seen().attempts == 0 {
        std::thread::yield_now();
    }
    let seen = status.seen();
    let told = seen.failing.unwrap_or_default();
    println!("{what:<44} -> {told}");
    drop(shipper);
    assert_eq!((seen.dropped.len(), outbox.frames()), (0, 1), "{what}: it is kept");
    assert!(plain.names.try_recv().is_err(), "{what}: nothing has arrived");
    let seen = done(&outbox.ship_by(right.0, delivery(right.1)), 1);
    assert_eq!(seen.delivered["traces"], 1, "{what}: it arrives once the way is right");
    assert_eq!(plain.names.recv_timeout(HUNG).as_deref(), Ok("a"));
    let one_line = !told.contains('\n') && told.len() < 200;
    told.contains(wanted) && one_line
}

#[test]
fn each_way_in_which_tls_fails_is_told_and_what_was_to_be_sent_is_kept() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let good = ours.sign(&["localhost", "127.0.0.1"]);
    let expired = ours.sign_expired(&["expired", "127.0.0.1", "localhost"]);
    let (client, strange) = (ours.sign(&["engine"]), theirs.sign(&["engine"]));
    let old = ours.sign_expired(&["old engine"]);
    let mut bad = 0;
    for protocol in PROTOCOLS {
        let plain = Plain::start();
        let to = plain.address(protocol);
        let door = TlsDoor::open(server_config(&good, None), to);
        let late = TlsDoor::open(server_config(&expired, None), to);
        let named = TlsDoor::open(server_config(&ours.sign(&["collector.example"]), None), to);
        let strict = TlsDoor::open(server_config(&good, Some(&ours)), to);
        let at = |door: &TlsDoor| url("https", "localhost", door.address(), protocol);
        let (trusting, with_certificate) = (files(Some(&ours), None), files(Some(&ours), Some(&client)));
        let nothing = TlsFiles::default();
        let trusts_others = files(Some(&theirs), None);
        let shows_strange = files(Some(&ours), Some(&strange));
        let shows_old = files(Some(&ours), Some(&old));
        let in_clear = url("http", "localhost", door.address(), protocol);
        let no_tls = url("https", "localhost", to, protocol);
        let rows = [
            ("an expired certificate", &late, at(&late), &trusting, "has expired"),
            (
                "a certificate of another authority",
                &door,
                at(&door),
                &trusts_others,
                "signed by no authority",
            ),
            (
                "one that only the machine's roots could know",
                &door,
                at(&door),
                &nothing,
                "signed by no authority",
            ),
            (
                "a certificate for another name",
                &named,
                at(&named),
                &trusting,
                "is for collector.example, not for localhost",
            ),
            ("no client certificate", &strict, at(&strict), &trusting, "client certificate"),
            (
                "a strange client certificate",
                &strict,
                at(&strict),
                &shows_strange,
                "client certificate (UnknownCA)",
            ),
            (
                "an expired client certificate",
                &strict,
                at(&strict),
                &shows_old,
                "client certificate (CertificateExpired)",
            ),
            ("http:// to a port of TLS", &door, in_clear, &trusting, "answered in TLS: write https://"),
            ("https:// to a port without TLS", &door, no_tls, &trusting, "speak TLS"),
        ];
        for (what, before, address, tls, wanted) in &rows {
            let right = (&*at(&strict), &with_certificate);
            let what = format!("{what} ({protocol})");
            let good = play(&what, (address, tls), right, wanted, &plain);
            if !good {
                println!("{:<44}    wanted …{wanted}…", "");
                bad += 1;
            }
            let refused = before.refused();
            println!("{:<44}    {refused} connections refused so far", "");
        }
    }
    assert_eq!(bad, 0, "rows that are not as wanted");
}

fn send(exporter: &mut Exporter, runtime: &Runtime) -> Verdict {
    runtime.block_on(exporter.send_frame(spans(&["a"])))
}

#[test]
fn a_renewed_certificate_is_used_without_a_restart() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    for protocol in PROTOCOLS {
        let authority = Authority::new("ours");
        let plain = Plain::start();
        let server = server_config(&authority.sign(&["localhost"]), Some(&authority));
        let door = TlsDoor::open(server, plain.address(protocol));
        let tls = files(Some(&authority), Some(&authority.sign_expired(&["engine"])));
        let endpoint = url("https", "localhost", door.address(), protocol).parse().unwrap();
        let mut exporter = Exporter::with(endpoint, protocol, delivery(&tls));
        let verdict = send(&mut exporter, &runtime);
        assert!(matches!(verdict, Verdict::Retry { .. }), "{verdict:?}");
        // The file system tells times apart by its clock's ticks.
        let before = std::fs::metadata(tls.cert.as_ref().unwrap()).unwrap().modified().unwrap();
        while std::fs::metadata(authority.sign(&["engine"]).cert).unwrap().modified().unwrap() == before {}
        assert_eq!(send(&mut exporter, &runtime), Verdict::Accepted);
        // In the middle of the next renewal: the key does not belong to the certificate yet.
        std::fs::write(tls.key.as_ref().unwrap(), "").unwrap();
        assert_eq!(send(&mut exporter, &runtime), Verdict::Accepted);
    }
}

#[test]
fn files_that_cannot_be_used_are_told_by_name_and_never_by_content() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (client, other) = (ours.sign(&["engine"]), theirs.sign(&["other"]));
    let write = |name: &str, text: &str| {
        let path = ours.dir().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let garbage = write("garbage.pem", "s3cret");
    let encrypted = write(
        "encrypted.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nczNjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let large = write("large.pem", &"s3cret\n".repeat(200_000));
    let absent = ours.dir().join("absent.pem");
    let ca = |path: &std::path::Path| {
        let mut files = TlsFiles::default();
        files.ca = Some(path.to_owned());
        files
    };
    let pair = |cert: &std::path::Path, key: &std::path::Path| {
        let mut files = ca(&ours.file());
        (files.cert, files.key) = (Some(cert.to_owned()), Some(key.to_owned()));
        files
    };
    let mut half = ca(&ours.file());
    half.cert = Some(client.cert.clone());
    let rows = [
        (ca(&absent), "absent.pem cannot be read: No such file"),
        (ca(ours.dir()), "cannot be read: Is a directory"),
        (ca(&large), "large.pem cannot be read: it is larger than 1 MiB"),
        (ca(&garbage), "garbage.pem holds no certificate"),
        (ca(&client.key), "engine.key holds no certificate"),
        (pair(&client.cert, &garbage), "garbage.pem holds no private key"),
        (pair(&client.cert, &encrypted), "encrypted.key is encrypted"),
        (pair(&client.cert, &other.key), "other.key does not belong to the certificate in"),
        (half, "name both files or none"),
    ];
    for (files, wanted) in rows {
        let error = files.check().unwrap_err();
        let text = error.to_string();
        println!("{text}");
        assert!(text.contains(wanted), "{text}: wanted {wanted}");
        assert!(!text.contains("s3cret") && !format!("{error:?}{files:?}").contains("s3cret"));
    }
    assert!(pair(&client.cert, &client.key).check().is_ok());
}
