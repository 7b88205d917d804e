//! Why a request got no answer, in a sentence.

use std::error::Error;
use std::io;

use rustls::{AlertDescription as Alert, CertificateError};

use crate::connect::{Connector, Handshake, Heard};
use crate::tls::TlsError;

/// The cause that a person needs, such as "Connection refused". `error` is what became of a request over a connection of
/// `connector`.
pub(crate) fn explain(error: &(dyn Error + 'static), connector: &Connector) -> String {
    let with_certificate = connector.shows_certificate();
    if let Some(error) = find::<TlsError>(error) {
        return format!("TLS: {error}");
    }
    if let Some(error) = find::<rustls::Error>(error) {
        return format!("TLS: {}", explain_tls(error, with_certificate));
    }
    if find::<Handshake>(error).is_some() {
        return "TLS: the receiver ended the connection in the handshake; does it speak TLS?".to_owned();
    }
    let said = innermost(error).unwrap_or_else(|| error.to_string());
    match (connector.heard(), connector.is_encrypted()) {
        (Heard::End(error), _) => format!("TLS: {}", explain_tls(&error, with_certificate)),
        (Heard::TlsAlert, false) => "the receiver answered in TLS: write https:// for it".to_owned(),
        (Heard::Nothing, false) => {
            format!("{said}; the receiver said nothing: does it want TLS (https://)?")
        }
        (Heard::Nothing, true) if !with_certificate => {
            format!("{said}; the receiver said nothing: does it want a client certificate?")
        }
        _ => said,
    }
}

fn explain_tls(error: &rustls::Error, with_certificate: bool) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => {
            format!("the receiver's certificate {}", explain_certificate(error))
        }
        rustls::Error::InvalidMessage(_) => {
            "the receiver does not speak TLS there: write http:// for it, or name its TLS port".to_owned()
        }
        rustls::Error::AlertReceived(
            Alert::CertificateRequired | Alert::BadCertificate | Alert::HandshakeFailure,
        ) if !with_certificate => {
            "the receiver wants a client certificate, and none is configured".to_owned()
        }
        rustls::Error::AlertReceived(
            alert @ (Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError),
        ) => format!("the receiver does not take our client certificate ({alert:?})"),
        error => error.to_string(),
    }
}

fn explain_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet; is the clock right?".to_owned()
        }
        CertificateError::UnknownIssuer => "is signed by no authority that is trusted here".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            // rustls writes them like `DnsName("a")` and `IpAddress(b)`.
            let bare = |name: &String| {
                name.split_once('(').map_or(&**name, |(_, name)| name).trim_matches(['"', ')']).to_owned()
            };
            let presented: Vec<_> = presented.iter().map(bare).collect();
            format!("is for {}, not for {}", presented.join(", "), expected.to_str())
        }
        error => format!("is not valid: {error}"),
    }
}

/// The first cause of a type. An I/O error hides the error that it was made of from the chain of causes.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let hidden = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = hidden.map_or_else(|| error.source(), |hidden| Some(hidden as &(dyn Error + 'static)));
    }
    None
}

fn innermost(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = error.source()?;
    for _ in 0..16 {
        match cause.source() {
            Some(deeper) => cause = deeper,
            None => break,
        }
    }
    Some(cause.to_string())
}
