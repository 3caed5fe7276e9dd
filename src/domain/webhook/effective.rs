//! What counts for a webhook's deliveries: what the webhook sets, else what its dialect says.

use std::time::Duration;

use super::egress::Egress;
use super::settings::{OnFailure, WebhookSettings, disable_json, rate_json, retry_json};
use crate::domain::delivery::retry::Retry;
use crate::domain::dialect::{Dialect, Disable};
use crate::domain::units::duration_text;

/// The rules by which the deliveries of one webhook are attempted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effective<'a> {
    pub(crate) dialect: &'a Dialect,
    /// The time from the beginning of an attempt to the end of the response's head.
    pub(crate) timeout: Duration,
    pub(crate) retry: &'a Retry,
    pub(crate) disable: Disable,
}

impl<'a> Effective<'a> {
    pub(crate) fn new(settings: &'a WebhookSettings, dialect: &'a Dialect) -> Self {
        Self {
            dialect,
            timeout: settings.timeout.unwrap_or(dialect.delivery.timeout),
            retry: settings.retry.as_ref().unwrap_or(&dialect.retry),
            disable: settings.disable.unwrap_or(dialect.disable),
        }
    }
}

/// The rules of a webhook without settings.
impl<'a> From<&'a Dialect> for Effective<'a> {
    fn from(dialect: &'a Dialect) -> Self {
        Self { dialect, timeout: dialect.delivery.timeout, retry: &dialect.retry, disable: dialect.disable }
    }
}

/// What the config says for all webhooks, as far as answers show it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    /// How many attempts each webhook may have at once.
    pub(crate) per_endpoint: usize,
    /// Whether attempts leave through a proxy. Answers never say through which: it is a part of the operator's network.
    pub(crate) has_proxy: bool,
}

/// The rules as JSON: each value, and whether the webhook sets it, or its dialect, or the config for all webhooks.
pub(crate) fn effective_json(settings: &WebhookSettings, dialect: &Dialect, defaults: Defaults) -> String {
    let rules = Effective::new(settings, dialect);
    let one = |name, value: &str, is_set| {
        let origin = match (is_set, name) {
            (true, _) => "webhook",
            (false, "timeout" | "retry" | "disable") => "dialect",
            (false, _) => "default",
        };
        format!("\"{name}\":{{\"value\":{value},\"origin\":\"{origin}\"}}")
    };
    let timeout = one("timeout", &format!("\"{}\"", duration_text(rules.timeout)), settings.timeout.is_some());
    let retry = one("retry", &retry_json(rules.retry), settings.retry.is_some());
    let disable = one("disable", &disable_json(rules.disable), settings.disable.is_some());
    let count = if settings.ordered { 1 } else { settings.concurrency.map_or(defaults.per_endpoint, usize::from) };
    let concurrency = one("concurrency", &count.to_string(), settings.concurrency.is_some() || settings.ordered);
    let rate = settings.rate_limit.map_or_else(|| "null".into(), rate_json);
    let rate_limit = one("rate_limit", &rate, settings.rate_limit.is_some());
    let share = settings.sample.map_or_else(|| "1".into(), |sample| sample.to_string());
    let sample = one("sample", &share, settings.sample.is_some());
    let ordered = one("ordered", &settings.ordered.to_string(), settings.ordered);
    let what = format!("\"{}\"", settings.on_failure.unwrap_or(OnFailure::Next).name());
    let on_failure = one("on_failure", &what, settings.on_failure.is_some());
    let own = settings.egress.as_deref().and_then(Egress::masked_proxy_json);
    let of_operator = if defaults.has_proxy { OF_OPERATOR } else { "null" };
    let proxy = one("proxy", own.as_deref().unwrap_or(of_operator), own.is_some());
    format!("{{{timeout},{retry},{disable},{concurrency},{rate_limit},{sample},{ordered},{on_failure},{proxy}}}")
}

/// What stands for the proxy that the config names for all webhooks.
const OF_OPERATOR: &str = "\"set by the operator\"";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dialect::tests::dialect;
    use crate::domain::webhook::settings::Setting;

    const DEFAULTS: Defaults = Defaults { per_endpoint: 16, has_proxy: false };

    #[test]
    fn a_proxy_of_the_config_is_told_of_without_its_address() {
        let shown = |settings: &WebhookSettings, has_proxy| -> serde_json::Value {
            let json = effective_json(settings, &dialect(), Defaults { has_proxy, ..DEFAULTS });
            serde_json::from_str::<serde_json::Value>(&json).expect("JSON")["proxy"].clone()
        };
        let own = |proxy: &str| WebhookSettings::none().with(&[Setting::read("proxy", proxy).expect("a proxy")]);
        for (settings, has_proxy, value, origin) in [
            (WebhookSettings::none(), false, serde_json::Value::Null, "default"),
            (WebhookSettings::none(), true, "set by the operator".into(), "default"),
            (own("\"none\""), true, "none".into(), "webhook"),
            (own("\"http://u:sesame@a.test:1\""), true, "http://u:…(6)@a.test:1".into(), "webhook"),
        ] {
            assert_eq!(shown(&settings, has_proxy), serde_json::json!({ "value": value, "origin": origin }));
        }
    }

    #[test]
    fn what_a_webhook_sets_counts_before_its_dialect() {
        let dialect = dialect();
        let set = [Setting::read("timeout", "\"7s\"").unwrap(), Setting::read("disable", r#"{"consecutive":2}"#).unwrap()];
        let settings = WebhookSettings::default().with(&set);
        let rules = Effective::new(&settings, &dialect);
        assert_eq!((rules.timeout, rules.disable.consecutive, rules.retry), (Duration::from_secs(7), 2, &dialect.retry));
        let shown: serde_json::Value = serde_json::from_str(&effective_json(&settings, &dialect, DEFAULTS)).expect("JSON");
        assert_eq!(shown["timeout"], serde_json::json!({ "value": "7s", "origin": "webhook" }));
        assert_eq!(shown["disable"]["value"], serde_json::json!({ "consecutive": 2, "count": "deliveries" }));
        assert_eq!(shown["retry"]["origin"], "dialect");
        assert_eq!(shown["concurrency"], serde_json::json!({ "value": 16, "origin": "default" }));
        assert_eq!(shown["rate_limit"], serde_json::json!({ "value": null, "origin": "default" }));
        assert_eq!(shown["sample"], serde_json::json!({ "value": 1, "origin": "default" }));
        assert_eq!(shown["on_failure"], serde_json::json!({ "value": "next", "origin": "default" }));
        let ordered = WebhookSettings { ordered: true, concurrency: Some(9), ..WebhookSettings::default() };
        let shown: serde_json::Value = serde_json::from_str(&effective_json(&ordered, &dialect, DEFAULTS)).expect("JSON");
        assert_eq!(shown["concurrency"], serde_json::json!({ "value": 1, "origin": "webhook" }), "one at a time");
        assert_eq!(shown["ordered"], serde_json::json!({ "value": true, "origin": "webhook" }));
    }
}
