//! `sys/metrics` on listeners that show it to whoever asks, sealed or not. On all others it is a path
//! like any other, and needs a token.

use boltwork_core::{Core, MetricsFormat};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use http_body_util::Full;

use crate::{encode::Answer, query};

/// All numbers, in the form that the query names.
pub async fn answer(core: &Core, parts: &Parts) -> Answer {
    let pairs = query::pairs(parts.uri.query());
    let name = query::value(&pairs, "format").unwrap_or_default();
    let (status, content_type, body) = match MetricsFormat::named(name) {
        Some(format) => {
            let page = core.metrics_page(format).await;
            (StatusCode::OK, page.content_type, page.body)
        }
        None => {
            let text = format!("metric response format {name:?} unknown");
            (StatusCode::BAD_REQUEST, "text/plain", text)
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
