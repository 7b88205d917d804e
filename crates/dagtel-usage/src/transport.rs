//! One request to the gateway: HTTPS, proxies, redirects, and what of the answer is read.
//!
//! Built on hyper because a future that is dropped ends everything under way, whatever it waits for: then one
//! deadline bounds name resolution, handshake and answer together. A blocking client bounds each read, and its TLS
//! layer may read any number of times for one record.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, HOST, LOCATION, USER_AGENT};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::Environment;
use crate::limits::{ANSWER_BYTES, HEAD_BYTES, REDIRECTS};
use crate::url::is_loopback;

/// Why an event did not arrive. No variant has a value from the event, the URL or the answer, except the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// It took too long altogether.
    #[error("the gateway did not answer in time")]
    Deadline,
    /// No connection came about: the name, the network, the proxy.
    #[error("no connection to the gateway came about")]
    Connect,
    /// The gateway's certificate is not trusted, or TLS failed otherwise.
    #[error("no TLS connection to the gateway came about; is its certificate one that this machine trusts?")]
    Tls,
    /// The machine's root certificates could not be read.
    #[error("there are no root certificates to check the gateway's by; see SSL_CERT_FILE and SSL_CERT_DIR")]
    NoRoots,
    /// The proxy is of a kind that is not supported.
    #[error("the proxy for https is none that is reached by http://")]
    Proxy,
    /// The connection broke, or what came over it was no HTTP.
    #[error("the connection to the gateway broke before its answer was complete")]
    Broken,
    /// The gateway answered something else than success.
    #[error("the gateway answered with status {0}")]
    Status(u16),
    /// A redirect leads to another host, another port, or from https to http.
    #[error("the gateway redirects to somewhere else, which is not followed")]
    RedirectedAway,
    /// Redirects without end.
    #[error("the gateway redirects more than {REDIRECTS} times")]
    Redirects,
    /// The answer is too large.
    #[error("the gateway's answer is larger than {ANSWER_BYTES} bytes")]
    AnswerTooLarge,
    /// The event makes a URL that is too long.
    #[error("the event is too large for a URL")]
    UrlTooLong,
}

/// What the environment says about the network: `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` (or in lower case),
/// `SSL_CERT_FILE`, `SSL_CERT_DIR`.
pub(crate) struct Network {
    proxies: Arc<Matcher>,
    certificate_file: Option<PathBuf>,
    certificate_dir: Option<PathBuf>,
}

impl Network {
    pub(crate) fn new(environment: &Environment) -> Self {
        let proxy = |upper: &str| environment.first(&[upper, &upper.to_lowercase()]).unwrap_or_default();
        let proxies = Matcher::builder()
            .https(proxy("HTTPS_PROXY"))
            .all(proxy("ALL_PROXY"))
            .no(proxy("NO_PROXY"))
            .build();
        Self {
            proxies: Arc::new(proxies),
            certificate_file: environment.get("SSL_CERT_FILE").map(Into::into),
            certificate_dir: environment.get("SSL_CERT_DIR").map(Into::into),
        }
    }

    /// Reads the root certificates, which takes some milliseconds.
    fn roots(&self) -> Result<RootCertStore, Failure> {
        let (file, dir) = (self.certificate_file.as_deref(), self.certificate_dir.as_deref());
        let found = if file.is_some() || dir.is_some() {
            rustls_native_certs::load_certs_from_paths(file, dir)
        } else {
            rustls_native_certs::load_native_certs()
        };
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(found.certs);
        if usable == 0 { Err(Failure::NoRoots) } else { Ok(roots) }
    }
}

fn tls(roots: RootCertStore) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(|_| Failure::Tls)?.with_root_certificates(roots).with_no_client_auth())
}

/// A connection to the gateway that is kept between requests.
pub(crate) struct Client(hyper_util::client::legacy::Client<HttpsConnector<Route>, Empty<Bytes>>);

impl Client {
    /// `encrypted`: the gateway is reached by https; otherwise no root certificates are needed.
    pub(crate) fn new(network: &Network, encrypted: bool) -> Result<Self, Failure> {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_nodelay(true);
        let route = Route { direct, proxies: network.proxies.clone() };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(if encrypted { network.roots()? } else { RootCertStore::empty() })?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(route);
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(1)
            .http1_title_case_headers(true)
            .http1_max_buf_size(HEAD_BYTES)
            .build(connector);
        Ok(Self(client))
    }

    /// Requests the URL and reads the answer to its end.
    pub(crate) async fn get(&self, url: &str) -> Result<(), Failure> {
        let mut uri: Uri = url.parse().map_err(|_| Failure::UrlTooLong)?;
        for _ in 0..=REDIRECTS {
            let response = self.0.request(request(&uri)).await.map_err(|error| explain(&error))?;
            let status = response.status();
            let next = status.is_redirection().then(|| redirect(&uri, &response)).flatten();
            let read = read_to_end(response).await;
            match next {
                Some(next) => uri = next?,
                None if status.is_success() => return read,
                None => return Err(Failure::Status(status.as_u16())),
            }
            // What is not read to its end keeps its connection busy.
            read?;
        }
        Err(Failure::Redirects)
    }
}

/// The headers of the original in its order; only the agent says who it is.
fn request(uri: &Uri) -> Request<Empty<Bytes>> {
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let default_port = if uri.scheme_str() == Some("http") { ":80" } else { ":443" };
    Request::get(uri)
        .header(HOST, host.strip_suffix(default_port).unwrap_or(host))
        .header(ACCEPT, "*/*")
        .header(ACCEPT_ENCODING, "gzip, deflate")
        .header(CONNECTION, "keep-alive")
        .header(USER_AGENT, concat!("dagtel-usage/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())
        .unwrap_or_default()
}

/// Where the answer leads, if anywhere.
fn redirect(from: &Uri, response: &Response<Incoming>) -> Option<Result<Uri, Failure>> {
    let location = response.headers().get(LOCATION)?.to_str().ok();
    Some(location.and_then(|location| resolve(from, location)).ok_or(Failure::RedirectedAway))
}

/// The address that `location` means on a page of `from`, if it is of the same origin.
fn resolve(from: &Uri, location: &str) -> Option<Uri> {
    if location.starts_with('/') && !location.starts_with("//") {
        let mut parts = from.clone().into_parts();
        parts.path_and_query = Some(location.parse().ok()?);
        return Uri::from_parts(parts).ok();
    }
    let to: Uri = location.parse().ok()?;
    let default = |uri: &Uri| if uri.scheme_str() == Some("http") { 80 } else { 443 };
    let port = |uri: &Uri| uri.port_u16().unwrap_or_else(|| default(uri));
    let same = from.scheme() == to.scheme()
        && port(from) == port(&to)
        && from.host().zip(to.host()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
    same.then_some(to)
}

/// Reads the body, so that the connection can be used again, and keeps nothing of it.
async fn read_to_end(response: Response<Incoming>) -> Result<(), Failure> {
    let mut body = response.into_body();
    let mut left = ANSWER_BYTES;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::Broken)?;
        let length = frame.data_ref().map_or(0, Bytes::len);
        left = left.checked_sub(length).ok_or(Failure::AnswerTooLarge)?;
    }
    Ok(())
}

fn explain(error: &hyper_util::client::legacy::Error) -> Failure {
    let is_tls = |cause: &(dyn StdError + 'static)| cause.is::<rustls::Error>();
    if has_cause(error, &is_tls) {
        Failure::Tls
    } else if has_cause(error, &|cause| cause.is::<UnknownProxy>()) {
        Failure::Proxy
    } else if error.is_connect() {
        Failure::Connect
    } else {
        Failure::Broken
    }
}

/// Whether one of the causes is such. An I/O error hides the error that it was made of from the chain of causes.
fn has_cause(error: &(dyn StdError + 'static), wanted: &impl Fn(&(dyn StdError + 'static)) -> bool) -> bool {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wanted(error)
        || inner.is_some_and(|inner| has_cause(inner, wanted))
        || error.source().is_some_and(|source| has_cause(source, wanted))
}

/// Connects to a host, through a proxy if the environment says so. This machine itself is never reached by a proxy,
/// which would take the same name for itself.
#[derive(Clone)]
struct Route {
    direct: HttpConnector,
    proxies: Arc<Matcher>,
}

#[derive(Debug, thiserror::Error)]
#[error("the proxy is not reached by http")]
struct UnknownProxy;

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.direct.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let proxy = if is_loopback(&to) { None } else { self.proxies.intercept(&to) };
        let Some(proxy) = proxy else {
            let connecting = self.direct.call(to);
            return Box::pin(async { Ok(connecting.await?) });
        };
        if proxy.uri().scheme_str() != Some("http") {
            return Box::pin(async { Err(UnknownProxy.into()) });
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.direct.clone());
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        let connecting = tunnel.call(to);
        Box::pin(async { Ok(connecting.await?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_on_its_origin() {
        let from = Uri::from_static("https://g.example/v3/x?a=1");
        let to = |location: &str| resolve(&from, location).map(|uri| uri.to_string());
        assert_eq!(to("/b?c").as_deref(), Some("https://g.example/b?c"));
        assert_eq!(to("https://G.example:443/b").as_deref(), Some("https://G.example:443/b"));
        for away in [
            "http://g.example/b",
            "https://g.example:8443/b",
            "https://h.example/b",
            "//h.example/b",
            "b",
            "",
            "ftp:x",
        ] {
            assert_eq!(to(away), None, "{away}");
        }
    }
}
