//! `GET /metrics`: everything that is counted, for Prometheus and whatever reads its text.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::api::Api;
use crate::api::request::settings::Settings;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::metrics::{Format, Now, print};

/// Answers in the form that `Accept` asks for.
pub(crate) async fn show(api: &Api, settings: &Settings, headers: &HeaderMap) -> Result<Reply, Problem> {
    let measured = api.store.measured().await?;
    let (network, socket, streams) = (api.network.len(), api.socket.len(), api.live.readers());
    let now = Now { store_limit_bytes: settings.store_bytes_max, network, socket, streams, ..measured };
    let metrics = api.store.metrics();
    // A provider that has done nothing yet is counted as nothing, so that its first event is seen as a rise.
    settings.providers().for_each(|provider| drop(metrics.providers.of(&provider.name)));
    let format = accepted(headers);
    let mut answered = HeaderMap::with_capacity(1);
    answered.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    Ok(Reply::new(StatusCode::OK, answered, print(&metrics.gather(&now), format).into()))
}

fn accepted(headers: &HeaderMap) -> Format {
    let all: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    Format::accepted(&all.join(","))
}
