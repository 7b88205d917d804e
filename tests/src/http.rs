//! The HTTP client of the harness: 127.0.0.1 only, so no proxy, and short time-outs.

use serde::de::DeserializeOwned;
use std::time::Duration;
use ureq::{Agent, Body, http::Response};

const LIMIT: Duration = Duration::from_secs(10);
const BODY_LIMIT: u64 = 256 * 1024 * 1024;

pub(crate) fn agent() -> Agent {
    // An answer that is not 2xx is read like any other: its body says what is wrong.
    Agent::config_builder().proxy(None).timeout_global(Some(LIMIT)).http_status_as_error(false).build().into()
}

/// The body of a successful answer.
pub(crate) fn text(agent: &Agent, url: &str, query: &[(&str, &str)]) -> Result<String, String> {
    let request = agent.get(url).query_pairs(query.iter().copied());
    let mut response = request.call().map_err(|error| format!("GET {url}: {error}"))?;
    let body = body(&mut response).map_err(|error| format!("GET {url}: {error}"))?;
    if response.status().is_success() {
        Ok(body)
    } else {
        Err(format!("GET {url}: {}: {body}", response.status()))
    }
}

/// The body of a successful answer, read as JSON.
pub(crate) fn json<T: DeserializeOwned>(
    agent: &Agent,
    url: &str,
    query: &[(&str, &str)],
) -> Result<T, String> {
    let text = text(agent, url, query)?;
    serde_json::from_str(&text).map_err(|error| format!("GET {url}: {error} in {text}"))
}

fn body(response: &mut Response<Body>) -> Result<String, ureq::Error> {
    response.body_mut().with_config().limit(BODY_LIMIT).read_to_string()
}
