//! How requests are sent to a destination, beside where and by which protocol.

use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue};

use crate::TlsFiles;

/// OpenTelemetry's default for `OTEL_EXPORTER_OTLP_TIMEOUT`.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What `OTEL_EXPORTER_OTLP_HEADERS`, `_TIMEOUT`, `_COMPRESSION` and the variables of certificates choose.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// How long a request may take, connection included.
    pub timeout: Duration,
    /// Whether requests are compressed with gzip.
    pub gzip: bool,
    /// The certificates of encrypted connections.
    pub tls: TlsFiles,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Why a header cannot be sent. It does not repeat the value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the header {0:?} cannot be sent: its name or its value has characters that HTTP does not allow, or it is OTLP's own"
)]
pub struct HeaderError(String);

impl Default for Delivery {
    fn default() -> Self {
        Self { timeout: TIMEOUT, gzip: true, tls: TlsFiles::default(), headers: Vec::new() }
    }
}

impl Delivery {
    /// Adds a header to every request. Its value is never shown.
    ///
    /// # Errors
    /// When it is none that HTTP allows, or one that the protocol itself sets.
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        let error = || HeaderError(name.to_owned());
        let parsed: HeaderName = name.parse().map_err(|_| error())?;
        let mut value: HeaderValue = value.parse().map_err(|_| error())?;
        // gRPC's binary headers (`-bin`) would need another encoding.
        if [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LENGTH, HOST].contains(&parsed) || name.ends_with("-bin")
        {
            return Err(error());
        }
        value.set_sensitive(true);
        self.headers.push((parsed, value));
        Ok(())
    }

    /// The names of the headers.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_shown_and_odd_headers_are_refused() {
        let mut delivery = Delivery::default();
        delivery.add_header("Authorization", "Bearer s3cret").unwrap();
        assert!(!format!("{delivery:?}").contains("s3cret"));
        for (name, value) in
            [("a b", "x"), ("a", "s3cret\n"), ("content-type", "x"), ("x-bin", "x"), ("", "x")]
        {
            let error = delivery.add_header(name, value).unwrap_err().to_string();
            assert!(error.contains(&format!("{name:?}")) && !error.contains("s3cret"), "{error}");
        }
    }
}
