//! Reading a body without ever holding more than its limit.

use axum::{
    body::{Body, BodyDataStream},
    extract::Request,
};
use bytes::{Bytes, BytesMut};
use dagtel_otlp::capped::{CappedError, gunzip_within};
use http::{HeaderMap, StatusCode, header::CONTENT_ENCODING};
use tokio_stream::StreamExt;

use super::response::Refusal;
use crate::{
    limits::{MAX_COMPRESSED, MAX_DECODED, MAX_DISCARDED},
    status::{Code, RpcStatus},
};

/// Reads and, where needed, decompresses a request's body.
pub(crate) async fn read(request: Request) -> Result<Bytes, Refusal> {
    if is_gzip(request.headers())? {
        let packed = collect(request.into_body(), MAX_COMPRESSED).await?;
        gunzip_within(&packed, MAX_COMPRESSED, MAX_DECODED).map(Bytes::from).map_err(|error| unfold(&error))
    } else {
        collect(request.into_body(), MAX_DECODED).await
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(false) };
    let name = value.to_str().unwrap_or_default().trim();
    if name.eq_ignore_ascii_case("gzip") {
        Ok(true)
    } else if name.is_empty() || name.eq_ignore_ascii_case("identity") {
        Ok(false)
    } else {
        let message = format!("the content encoding {name:?} is not supported; send gzip or no encoding");
        let status = RpcStatus::new(Code::InvalidArgument, message);
        Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, status))
    }
}

async fn collect(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let mut chunks = body.into_data_stream();
    let mut all = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| bad(format!("the body was cut short: {error}; send it again")))?;
        if all.len() + chunk.len() > limit {
            drop(all);
            discard(chunks).await;
            return Err(too_large(format!(
                "the body is larger than the {limit} bytes accepted; send smaller batches"
            )));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

/// Lets the sender finish, within reason, so that it reads the refusal.
async fn discard(mut chunks: BodyDataStream) {
    let mut seen = 0;
    while let Some(Ok(chunk)) = chunks.next().await {
        seen += chunk.len();
        if seen > MAX_DISCARDED {
            return;
        }
    }
}

fn unfold(error: &CappedError) -> Refusal {
    match error {
        CappedError::InputTooLarge { .. } | CappedError::OutputTooLarge { .. } => {
            too_large(error.to_string())
        }
        _ => bad(error.to_string()),
    }
}

fn bad(message: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, RpcStatus::new(Code::InvalidArgument, message))
}

fn too_large(message: String) -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, RpcStatus::new(Code::ResourceExhausted, message))
}
