//! Where to send: `http://host:port` of an OTLP/gRPC receiver.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// The address of an OTLP/gRPC receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// Why a text is no endpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is no URL at all.
    #[error("the endpoint {0:?} is no URL: write it like http://127.0.0.1:4317")]
    NoUrl(String),
    /// It names no scheme, or one that OTLP/gRPC does not have.
    #[error("the endpoint {0:?} must begin with http://, like http://127.0.0.1:4317")]
    NoScheme(String),
    /// It asks for TLS.
    #[error(
        "the endpoint {0:?} asks for TLS, which this build cannot do: send to a collector on this host by http://"
    )]
    Tls(String),
    /// It has a path, which OTLP/gRPC has no use for; most likely OTLP/HTTP is meant.
    #[error("the endpoint {0:?} has a path, which OTLP over gRPC does not: write only http://host:4317")]
    Path(String),
}

impl Endpoint {
    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let own = || text.to_owned();
        let uri: Uri = text.trim().parse().map_err(|_| EndpointError::NoUrl(own()))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(EndpointError::Tls(own())),
            _ => return Err(EndpointError::NoScheme(own())),
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(EndpointError::NoUrl(own()));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(EndpointError::Path(own()));
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0.authority().map_or("", |authority| authority.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_people_write_and_says_what_is_wrong() {
        let read = |text: &str| text.parse::<Endpoint>().map(|e| e.to_string()).map_err(|e| e.to_string());
        assert_eq!(read("http://127.0.0.1:4317").unwrap(), "http://127.0.0.1:4317");
        assert_eq!(read(" http://collector:4317/ ").unwrap(), "http://collector:4317");
        assert!(read("127.0.0.1:4317").unwrap_err().contains("http://"));
        assert!(read("collector").unwrap_err().contains("begin with"));
        assert!(read("https://c:4317").unwrap_err().contains("TLS"));
        assert!(read("http://c:4318/v1/traces").unwrap_err().contains("path"));
        assert!(read("").unwrap_err().contains("no URL"));
        assert!(read("http://").unwrap_err().contains("no URL"));
    }
}
