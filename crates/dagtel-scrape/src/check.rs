//! What a request may look like.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, Request, StatusCode};

use crate::limits::{HEADER_BYTES, QUERY_VALUES, TARGET_BYTES};

/// The routes that there are.
pub(crate) const METRICS: &str = "/metrics";
pub(crate) const HEALTHZ: &str = "/healthz";
pub(crate) const READYZ: &str = "/readyz";
const ROUTES: [&str; 3] = [METRICS, HEALTHZ, READYZ];
/// The handler of requests that no route takes.
const NO_ROUTE: &str = "none";

/// Why a request is not answered as it wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// A value of the label `error_type`.
    pub(crate) error_type: &'static str,
    pub(crate) message: &'static str,
}

/// The route of a request, for counting; `none` when there is no such route.
pub(crate) fn route<B>(request: &Request<B>) -> Option<&'static str> {
    ROUTES.into_iter().find(|route| *route == request.uri().path())
}

/// The same as a handler's name.
pub(crate) fn handler<B>(request: &Request<B>) -> &'static str {
    route(request).unwrap_or(NO_ROUTE)
}

/// The content length that a request announces.
pub(crate) fn length<B>(request: &Request<B>) -> u64 {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|text| text.parse().ok()).unwrap_or_default()
}

pub(crate) fn check<B>(request: &Request<B>) -> Result<&'static str, Refusal> {
    let no = |status, error_type, message| Err(Refusal { status, error_type, message });
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if target.len() > TARGET_BYTES {
        return no(
            StatusCode::URI_TOO_LONG,
            "target_too_long",
            "the target is longer than 2 KiB; GET /metrics",
        );
    }
    if headers > HEADER_BYTES {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return no(status, "headers_too_large", "the headers are larger than 8 KiB; send fewer");
    }
    let query = request.uri().query().unwrap_or_default();
    if query.split('&').count() > QUERY_VALUES || !is_text(query) || !is_text(request.uri().path()) {
        return no(StatusCode::BAD_REQUEST, "bad_target", "the target is not well-formed; GET /metrics");
    }
    let Some(route) = route(request) else {
        return no(StatusCode::NOT_FOUND, "not_found", "there are /metrics, /healthz and /readyz");
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return no(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "only GET is possible");
    }
    if length(request) > 0 || request.headers().contains_key(TRANSFER_ENCODING) {
        return no(StatusCode::BAD_REQUEST, "unexpected_body", "a GET has no body; send none");
    }
    Ok(route)
}

/// Whether percent-encoded text is UTF-8.
fn is_text(encoded: &str) -> bool {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { return false };
        bytes.push(byte);
        rest = &after[2..];
    }
    std::str::from_utf8(&bytes).is_ok()
}
