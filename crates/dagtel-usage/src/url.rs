//! Where events are sent: the gateway's address with the event written into it.

use std::fmt;
use std::str::FromStr;

use http::Uri;

use crate::UsageEvent;
use crate::json::text_of;
use crate::limits::URL_BYTES;

/// The version of the events: all metrics are query parameters.
pub const TELEMETRY_VERSION: &str = "v3";

/// The address of a gateway, with places for what differs: `{telemetry_version}`, `{event_type}`, `{query_string}`.
///
/// Only `https` is allowed, and `http` to this machine itself.
///
/// ```
/// use dagtel_usage::Gateway;
///
/// let template = "https://telemetry.example.com/my-product/{telemetry_version}/{event_type}?{query_string}";
/// let gateway: Gateway = template.parse()?;
/// assert_eq!(gateway.to_string(), template);
/// # Ok::<(), dagtel_usage::GatewayError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway(String);

/// Why a text is no address of a gateway. No variant shows it, because it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// It is no URL.
    #[error(
        "the gateway is no URL: write it like https://host/{{telemetry_version}}/{{event_type}}?{{query_string}}"
    )]
    NotAUrl,
    /// It would send events in the clear.
    #[error(
        "the gateway must begin with https://; http:// is for this machine itself (localhost, 127.0.0.1, [::1])"
    )]
    Insecure,
    /// It has a user name or a password.
    #[error("the gateway has a user name or password, which would be sent with every event: leave it out")]
    UserInfo,
    /// It has braces around something unknown, or around no more than a part.
    #[error(
        "the places are {{telemetry_version}}, {{event_type}} and {{query_string}}, behind the host, and no others"
    )]
    Placeholder,
    /// It has no place for the metrics.
    #[error("the gateway lacks {{query_string}}, so no metric would arrive: end it with ?{{query_string}}")]
    NoQuery,
}

impl FromStr for Gateway {
    type Err = GatewayError;

    fn from_str(text: &str) -> Result<Self, GatewayError> {
        let gateway = Self(text.trim().to_owned());
        if !gateway.0.contains("{query_string}") {
            return Err(GatewayError::NoQuery);
        }
        let filled = gateway.filled("x", "x=x");
        if filled.contains(['{', '}']) {
            return Err(GatewayError::Placeholder);
        }
        let uri: Uri = filled.parse().map_err(|_| GatewayError::NotAUrl)?;
        let authority = uri.authority().ok_or(GatewayError::NotAUrl)?;
        if authority.as_str().contains('@') {
            return Err(GatewayError::UserInfo);
        }
        if !gateway.0.contains(authority.as_str()) {
            return Err(GatewayError::Placeholder);
        }
        match uri.scheme_str() {
            Some("https") if gateway.is_encrypted() => Ok(gateway),
            Some("http") if is_loopback(&uri) => Ok(gateway),
            _ => Err(GatewayError::Insecure),
        }
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Gateway {
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.starts_with("https:")
    }

    fn filled(&self, event_type: &str, query: &str) -> String {
        // The query goes last: it is not looked through for places of its own.
        self.0
            .replace("{telemetry_version}", TELEMETRY_VERSION)
            .replace("{event_type}", event_type)
            .replace("{query_string}", query)
    }
}

/// The URL that sends `event` to `gateway`: what the original would request, byte for byte. Only an event type that
/// is more than a word is quoted here, and there it could cut the URL in two. `None` when it would be longer than
/// [`URL_BYTES`].
pub fn url(gateway: &Gateway, event: &UsageEvent) -> Option<String> {
    let mut query = String::new();
    for (key, value) in &event.metrics {
        query.push_str(if query.is_empty() { "" } else { "&" });
        percent_encode(key, "", true, &mut query);
        query.push('=');
        percent_encode(&text_of(value), "", true, &mut query);
    }
    let mut event_type = String::new();
    percent_encode(&event.event_type, "", false, &mut event_type);
    Some(gateway.filled(&event_type, &query)).filter(|url| url.len() <= URL_BYTES)
}

/// Quotes a text like Python's `urllib.parse.quote`, which leaves `/` alone.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    percent_encode(text, "/", false, &mut out);
    out
}

fn percent_encode(text: &str, safe: &str, blank_as_plus: bool, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b' ' if blank_as_plus => out.push('+'),
            b'_' | b'.' | b'-' | b'~' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() || safe.as_bytes().contains(&byte) => {
                out.push(char::from(byte))
            }
            _ => out.extend([
                '%',
                char::from(HEX[usize::from(byte >> 4)]),
                char::from(HEX[usize::from(byte & 15)]),
            ]),
        }
    }
}

/// Whether the address is this machine itself, whatever a resolver says.
pub(crate) fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_https_or_this_machine() {
        let read = |base: &str| format!("{base}/{{event_type}}?{{query_string}}").parse::<Gateway>().err();
        for good in
            ["https://g.example", "https://g.example:8443/a", "http://127.0.0.1:80", "http://[::1]:80"]
        {
            assert_eq!(read(good), None, "{good}");
        }
        assert_eq!(read("http://localhost:8080"), None);
        for insecure in [
            "http://g.example",
            "http://localhost.g.example",
            "http://10.0.0.1",
            "ftp://g.example",
            "http://127.0.0.1.nip.io",
        ] {
            assert_eq!(read(insecure), Some(GatewayError::Insecure), "{insecure}");
        }
        assert_eq!(read("https://me:secret@g.example"), Some(GatewayError::UserInfo));
        assert_eq!(read("http://127.0.0.1@g.example"), Some(GatewayError::UserInfo));
        assert_eq!(read("https://g.example/{unknown}"), Some(GatewayError::Placeholder));
        assert_eq!(read("https://{event_type}.example"), Some(GatewayError::Placeholder));
        assert_eq!(read("g.example"), Some(GatewayError::NotAUrl));
        assert_eq!(read("https://a b"), Some(GatewayError::NotAUrl));
        assert_eq!("https://g.example/{event_type}".parse::<Gateway>(), Err(GatewayError::NoQuery));
        assert_eq!("".parse::<Gateway>(), Err(GatewayError::NoQuery));
    }

    #[test]
    fn nothing_in_an_event_can_change_where_it_goes() {
        let gateway: Gateway =
            "https://g.example/{telemetry_version}/{event_type}?{query_string}".parse().unwrap();
        let metrics = [("{event_type}", "{query_string}&x=y#z")].map(|(k, v)| (k.to_owned(), v.into()));
        let event = UsageEvent { event_type: "../a b?c#d{query_string}".to_owned(), metrics: metrics.into() };
        assert_eq!(
            url(&gateway, &event).unwrap(),
            "https://g.example/v3/..%2Fa%20b%3Fc%23d%7Bquery_string%7D?%7Bevent_type%7D=%7Bquery_string%7D%26x%3Dy%23z"
        );
    }

    #[test]
    fn a_url_has_a_longest_length() {
        let gateway: Gateway = "https://g.example/?{query_string}".parse().unwrap();
        let room = URL_BYTES - "https://g.example/?a=".len();
        let of = |length: usize| UsageEvent {
            event_type: "x".to_owned(),
            metrics: [("a".to_owned(), "y".repeat(length).into())].into(),
        };
        assert_eq!(url(&gateway, &of(room)).unwrap().len(), URL_BYTES);
        assert_eq!(url(&gateway, &of(room + 1)), None);
        assert!(url(&gateway, &of(room)).unwrap().parse::<Uri>().is_ok());
    }
}
