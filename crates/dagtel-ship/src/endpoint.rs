//! Where to send, and by which protocol.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// The address of an OTLP receiver: `http://host:port` or `https://host:port`, with a path only for OTLP/HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// The two protocols of OTLP, by the names of `OTEL_EXPORTER_OTLP_PROTOCOL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "OTLP has two transports")]
pub enum Protocol {
    /// `grpc`
    Grpc,
    /// `http/protobuf`
    HttpProtobuf,
}

/// Why a text is no endpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is no URL at all.
    #[error("the endpoint {0:?} is no URL: write it like http://127.0.0.1:4317")]
    NoUrl(String),
    /// It names no scheme, or one that OTLP does not have.
    #[error("the endpoint {0:?} must begin with http:// or https://, like http://127.0.0.1:4317")]
    NoScheme(String),
    /// It has a user name. The text is not repeated: a password may be in it.
    #[error(
        "the endpoint has a user name or a password: take it out, and say it in OTEL_EXPORTER_OTLP_HEADERS, like authorization=Basic%20…"
    )]
    Credentials,
    /// It has a query, which no OTLP receiver has a use for.
    #[error("the endpoint {0:?} has a query, which OTLP does not: write only http://host:port")]
    Query(String),
}

/// Why a text is no protocol.
#[derive(Debug, thiserror::Error)]
#[error("the protocol {0:?} is not known: use grpc or http/protobuf")]
pub struct ProtocolError(String);

impl Endpoint {
    /// The protocol that is spoken there by convention: OTLP/HTTP on port 4318 and wherever a path is named, gRPC
    /// everywhere else.
    pub fn usual_protocol(&self) -> Protocol {
        if self.0.port_u16() == Some(4318) || self.path().is_some() {
            Protocol::HttpProtobuf
        } else {
            Protocol::Grpc
        }
    }

    /// Whether connections to it are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// The same as a URL.
    pub(crate) fn origin_uri(&self) -> Uri {
        let mut parts = self.0.clone().into_parts();
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
        // Parts of a valid URL with another valid path are a valid URL.
        Uri::from_parts(parts).unwrap_or_else(|_| self.0.clone())
    }

    /// `http://host:port`, without the path.
    pub(crate) fn origin(&self) -> String {
        let scheme = self.0.scheme_str().unwrap_or("http");
        format!("{scheme}://{}", self.0.authority().map_or("", |authority| authority.as_str()))
    }

    /// The path, when there is one: what stands before `/v1/traces` and the like.
    pub(crate) fn path(&self) -> Option<&str> {
        Some(self.0.path().trim_end_matches('/')).filter(|path| !path.is_empty())
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let own = || text.to_owned();
        if text.contains('@') {
            return Err(EndpointError::Credentials);
        }
        let uri: Uri = text.trim().parse().map_err(|_| EndpointError::NoUrl(own()))?;
        match uri.scheme_str() {
            Some("http" | "https") => {}
            _ => return Err(EndpointError::NoScheme(own())),
        }
        let (host, authority) = (uri.host().unwrap_or_default(), uri.authority());
        // `Uri` takes any text behind the colon, and then says that there is no port.
        let port = authority.and_then(|authority| authority.as_str().strip_prefix(host)).unwrap_or_default();
        if host.is_empty() || (!port.is_empty() && uri.port_u16().is_none()) {
            return Err(EndpointError::NoUrl(own()));
        }
        if uri.query().is_some() {
            return Err(EndpointError::Query(own()));
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path().unwrap_or_default())
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        match text.trim() {
            "grpc" => Ok(Self::Grpc),
            "http/protobuf" => Ok(Self::HttpProtobuf),
            _ => Err(ProtocolError(text.to_owned())),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        })
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
        assert_eq!(read("http://c:4318/otlp/").unwrap(), "http://c:4318/otlp");
        assert!(read("127.0.0.1:4317").unwrap_err().contains("http://"));
        assert!(read("collector").unwrap_err().contains("begin with"));
        assert_eq!(read("https://c:4317").unwrap(), "https://c:4317");
        assert!(read("ftp://c:4317").unwrap_err().contains("https://"));
        assert!(read("http://c:4318/?a=b").unwrap_err().contains("query"));
        let secret = read("https://user:s3cret@c:4317").unwrap_err();
        assert!(secret.contains("HEADERS") && !secret.contains("s3cret"), "{secret}");
        assert!(read("").unwrap_err().contains("no URL"));
        assert!(read("http://").unwrap_err().contains("no URL"));
        assert!(read("https://c:4317x").unwrap_err().contains("no URL"), "a port that is none");
        assert_eq!(read("http://[::1]:4317").unwrap(), "http://[::1]:4317");
    }

    #[test]
    fn the_port_tells_the_protocol_unless_somebody_says_otherwise() {
        let usual = |text: &str| text.parse::<Endpoint>().unwrap().usual_protocol();
        assert_eq!(usual("http://c:4317"), Protocol::Grpc);
        assert_eq!(usual("http://c:4318"), Protocol::HttpProtobuf);
        assert_eq!(usual("http://c:80/otlp"), Protocol::HttpProtobuf);
        assert_eq!("http/protobuf".parse::<Protocol>().unwrap(), Protocol::HttpProtobuf);
        assert!("http/json".parse::<Protocol>().is_err());
    }
}
