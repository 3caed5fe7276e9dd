//! What a webhook may have besides its URL, event types, name and description. Everything here may be left out.
//!
//! Each setting is one member of the webhook's JSON. The API, the config file and the store all read a setting with
//! [`Setting::read`] and print it with [`WebhookSettings::members`], so a new setting is taken, shown and kept everywhere at once.

mod attempts;
pub(crate) mod member;
pub(super) mod read;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

pub(crate) use attempts::{CONCURRENCIES, TIMEOUTS, disable_json, rate_json, retry_json};

use member::Member;
use read::{Read, refused};

use super::egress::{self, Egress, Part};
use super::filter::Filter;
use super::metadata::Metadata;
use super::sample::{Place, Sample};
use super::secret::Secret;
use crate::domain::channels::{Channels, OF_WEBHOOK_MAX};
use crate::domain::delivery::retry::Retry;
use crate::domain::dialect::{Dialect, Disable};
use crate::domain::event::Event;
use crate::domain::id::uid::Uid;
use crate::domain::rate::Rate;
use crate::domain::refusal::Refusal;

/// The settings of one webhook. The default has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WebhookSettings {
    /// The webhook's second name, which no other webhook of its tenant has.
    pub(crate) uid: Option<Uid>,
    /// Which of the events that the webhook subscribes to it gets. `None`: all of them.
    pub(crate) filter: Option<Arc<Filter>>,
    /// Of which channels the webhook gets events. Empty: of all, and those without a channel.
    pub(crate) channels: Channels,
    pub(crate) metadata: Metadata,
    /// How long an attempt may take, instead of the dialect's time.
    pub(crate) timeout: Option<Duration>,
    /// When attempts are made again, instead of the dialect's schedule.
    pub(crate) retry: Option<Retry>,
    /// When failures disable the webhook, instead of the dialect's rule.
    pub(crate) disable: Option<Disable>,
    /// How many attempts are made at once, instead of the config's `in_flight_per_endpoint`.
    pub(crate) concurrency: Option<u16>,
    /// How often an attempt may start, tests and retries by hand among them. `None`: as often as there is a slot.
    pub(crate) rate_limit: Option<Rate>,
    /// Which share of its events the webhook gets. `None`: all of them.
    pub(crate) sample: Option<Sample>,
    /// Whether deliveries are made one at a time, in the order of publication.
    pub(crate) ordered: bool,
    /// What follows in an ordered webhook when a delivery has failed. `None`: the next.
    pub(crate) on_failure: Option<OnFailure>,
    /// How attempts leave the relay. `None`: as those of a webhook that says nothing about it.
    pub(crate) egress: Option<Arc<Egress>>,
}

/// What follows in an ordered webhook when a delivery has failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// The delivery behind it.
    Next,
    /// Nothing: the webhook is disabled, and what comes behind is held.
    Hold,
}

impl OnFailure {
    pub(crate) const ALL: [Self; 2] = [Self::Next, Self::Hold];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Hold => "hold",
        }
    }
}

/// One setting with its value; an empty value takes the setting away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Setting {
    Uid(Option<Uid>),
    Filter(Option<Arc<Filter>>),
    Channels(Channels),
    Metadata(Metadata),
    Timeout(Option<Duration>),
    Retry(Option<Retry>),
    Disable(Option<Disable>),
    Concurrency(Option<u16>),
    RateLimit(Option<Rate>),
    Sample(Option<Sample>),
    Ordered(bool),
    OnFailure(Option<OnFailure>),
    Egress(Part),
}

/// A setting as the store keeps it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept<'a> {
    Plain(Member<'a>),
    /// A setting that holds credentials. Its JSON is whole, so it goes nowhere but under a seal.
    Secret {
        name: &'static str,
        json: Secret,
    },
}

impl WebhookSettings {
    /// No settings. All webhooks without settings share one value.
    pub(crate) fn none() -> Arc<Self> {
        static NONE: LazyLock<Arc<WebhookSettings>> = LazyLock::new(Arc::default);
        NONE.clone()
    }

    /// These settings with some of them changed.
    pub(crate) fn with(&self, changes: &[Setting]) -> Arc<Self> {
        let mut changed = self.clone();
        changes.iter().cloned().for_each(|setting| changed.put(setting));
        if changed == Self::default() { Self::none() } else { Arc::new(changed) }
    }

    fn put(&mut self, setting: Setting) {
        match setting {
            Setting::Uid(uid) => self.uid = uid,
            Setting::Filter(filter) => self.filter = filter,
            Setting::Channels(channels) => self.channels = channels,
            Setting::Metadata(metadata) => self.metadata = metadata,
            Setting::Timeout(timeout) => self.timeout = timeout,
            Setting::Retry(retry) => self.retry = retry,
            Setting::Disable(disable) => self.disable = disable,
            Setting::Concurrency(concurrency) => self.concurrency = concurrency,
            Setting::RateLimit(rate) => self.rate_limit = rate,
            Setting::Sample(sample) => self.sample = sample,
            Setting::Ordered(ordered) => self.ordered = ordered,
            Setting::OnFailure(on_failure) => self.on_failure = on_failure,
            Setting::Egress(part) => self.egress = Egress::with(self.egress.as_deref(), part),
        }
    }

    /// The settings that are set, in the order of [`NAMES`], as answers show them.
    pub(crate) fn members(&self) -> Vec<Member<'_>> {
        let mut members = self.plain();
        members.extend(self.egress.iter().flat_map(|egress| egress.members()));
        members
    }

    /// The settings that are set, in the order of [`NAMES`], as the store keeps them. [`Setting::read`] reads each.
    pub(crate) fn kept(&self) -> Vec<Kept<'_>> {
        let secrets = self.egress.iter().flat_map(|egress| egress.secrets());
        let secrets = secrets.map(|(name, json)| Kept::Secret { name, json });
        self.plain().into_iter().map(Kept::Plain).chain(secrets).collect()
    }

    /// The settings that are set and hold no credential.
    fn plain(&self) -> Vec<Member<'_>> {
        let uid = self.uid.as_ref().map(|uid| Member { name: UID, json: quoted(uid.as_str()).into() });
        let filter = self.filter.as_ref().map(|filter| Member { name: FILTER, json: filter.text().into() });
        let channels = (!self.channels.is_empty()).then(|| Member { name: CHANNELS, json: self.channels.json().into() });
        let metadata = (!self.metadata.is_empty()).then(|| Member { name: METADATA, json: self.metadata.json().into() });
        let timeout = self.timeout.map(|timeout| Member { name: TIMEOUT, json: attempts::timeout_json(timeout).into() });
        let retry = self.retry.as_ref().map(|retry| Member { name: RETRY, json: retry_json(retry).into() });
        let disable = self.disable.map(|disable| Member { name: DISABLE, json: disable_json(disable).into() });
        let concurrency = self.concurrency.map(|count| Member { name: CONCURRENCY, json: count.to_string().into() });
        let rate_limit = self.rate_limit.map(|rate| Member { name: RATE_LIMIT, json: rate_json(rate).into() });
        let sample = self.sample.map(|sample| Member { name: SAMPLE, json: sample.to_string().into() });
        let ordered = self.ordered.then_some(Member { name: ORDERED, json: "true".into() });
        let on_failure = self.on_failure.map(|what| Member { name: ON_FAILURE, json: quoted(what.name()).into() });
        let attempts = [timeout, retry, disable, concurrency, rate_limit];
        let members = [uid, filter, channels, metadata].into_iter().chain(attempts).chain([sample, ordered, on_failure]);
        members.flatten().collect()
    }

    /// Whether the webhook leaves out any of the events that it subscribes to.
    pub(crate) fn narrows(&self) -> bool {
        self.filter.is_some() || !self.channels.is_empty() || self.sample.is_some()
    }

    /// Whether a delivery that has failed holds back those behind it for good.
    pub(crate) fn holds_behind_failures(&self) -> bool {
        self.ordered && self.on_failure == Some(OnFailure::Hold)
    }

    /// Whether the webhook gets events of these channels.
    pub(crate) fn takes(&self, channels: &Channels) -> bool {
        self.channels.is_empty() || self.channels.share(channels)
    }

    /// Whether the webhook gets an event of a type that it subscribes to.
    pub(crate) fn lets_through(&self, event: &Event) -> bool {
        let is_sampled = self.sample.is_none_or(|sample| sample.takes(Place::of(&event.id)));
        is_sampled && self.takes(&event.channels) && self.filter.as_ref().is_none_or(|filter| filter.lets_through(event))
    }

    /// What stands against settings that are given together, with the name of a setting and the reason inside it.
    pub(crate) fn contradiction(&self) -> Option<(&'static str, Refusal)> {
        self.egress.as_ref().and_then(|egress| egress.contradiction())
    }

    /// These settings with the credentials of others in the place of their own.
    pub(crate) fn with_credentials_of(&self, other: &Self) -> Arc<Self> {
        let changed = Self { egress: other.egress.clone(), ..self.clone() };
        if changed == Self::default() { Self::none() } else { Arc::new(changed) }
    }

    /// The names of the settings that differ between two webhooks, in the order of [`NAMES`].
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let (mine, theirs) = (self.kept(), other.kept());
        let differs = |name: &&str| mine.iter().find(|one| one.name() == *name) != theirs.iter().find(|one| one.name() == *name);
        NAMES.iter().copied().filter(differs).collect()
    }
}

impl Kept<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Plain(Member { name, .. }) | Self::Secret { name, .. } => name,
        }
    }
}

impl Setting {
    /// Reads the setting called `name` from JSON; `null` takes it away.
    ///
    /// Fails with what is wrong, each fault with its pointer inside the value, and when no setting has the name.
    pub(crate) fn read(name: &str, json: &str) -> Result<Self, Vec<Refusal>> {
        let is_given = json != "null";
        match name {
            UID => is_given.then(|| uid(json)).transpose().map(Self::Uid),
            FILTER => is_given.then(|| Filter::parse(json).map(Arc::new)).transpose().map(Self::Filter),
            CHANNELS => Channels::read(json, OF_WEBHOOK_MAX).map(Self::Channels),
            METADATA if !is_given => Ok(Self::Metadata(Metadata::default())),
            METADATA => Metadata::read(json).map(Self::Metadata),
            TIMEOUT => is_given.then(|| attempts::timeout(json)).transpose().map(Self::Timeout),
            RETRY => is_given.then(|| attempts::retry(json)).transpose().map(Self::Retry),
            DISABLE => is_given.then(|| attempts::disable(json)).transpose().map(Self::Disable),
            CONCURRENCY => is_given.then(|| attempts::concurrency(json)).transpose().map(Self::Concurrency),
            RATE_LIMIT => is_given.then(|| attempts::rate(json)).transpose().map(Self::RateLimit),
            SAMPLE => is_given.then(|| sample(json)).transpose().map(Self::Sample),
            ORDERED => is_given.then(|| ordered(json)).transpose().map(|is| Self::Ordered(is == Some(true))),
            ON_FAILURE => is_given.then(|| on_failure(json)).transpose().map(Self::OnFailure),
            _ => {
                let unknown = || Err(vec![Refusal::new("", "there is no such setting")]);
                Part::read(name, json).map_or_else(unknown, |part| part.map(Self::Egress))
            }
        }
    }

    /// What stands against the setting with a webhook of this dialect, each reason with its pointer inside the value.
    pub(crate) fn conflicts(&self, dialect: &Dialect) -> Vec<Refusal> {
        match self {
            Self::Egress(part) => part.conflicts(dialect),
            _ => Vec::new(),
        }
    }

    /// The setting as the operator gives it, who may do more than others.
    pub(crate) fn of_operator(self) -> Self {
        match self {
            Self::Egress(part) => Self::Egress(part.of_operator()),
            other => other,
        }
    }

    /// The URL in the setting that must be fit for a webhook, with its pointer inside the value.
    pub(crate) fn url(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Egress(part) => part.url(),
            _ => None,
        }
    }
}

/// Whether the store keeps the setting of this name sealed.
pub(crate) fn is_sealed(name: &str) -> bool {
    egress::is_part(name)
}

/// `"billing.eu"`.
fn uid(json: &str) -> Read<Uid> {
    Uid::parse(&read::text(json)?).map_err(refused)
}

/// `0.1`: the share of its events that a webhook gets.
fn sample(json: &str) -> Read<Sample> {
    let share = serde_json::from_str(json).ok().and_then(Sample::new);
    share.ok_or_else(|| refused("is not a number above 0 and up to 1"))
}

fn ordered(json: &str) -> Read<bool> {
    serde_json::from_str(json).map_err(|_| refused("is neither true nor false"))
}

/// `"hold"`, or `"next"`.
fn on_failure(json: &str) -> Read<OnFailure> {
    let name = read::text(json)?;
    let named = OnFailure::ALL.into_iter().find(|what| what.name() == name);
    named.ok_or_else(|| refused("is neither `next` nor `hold`"))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(crate) const UID: &str = "uid";
const FILTER: &str = "filter";
const CHANNELS: &str = "channels";
const METADATA: &str = "metadata";
const TIMEOUT: &str = "timeout";
const RETRY: &str = "retry";
const DISABLE: &str = "disable";
const CONCURRENCY: &str = "concurrency";
const RATE_LIMIT: &str = "rate_limit";
const SAMPLE: &str = "sample";
const ORDERED: &str = "ordered";
const ON_FAILURE: &str = "on_failure";

/// The name of every setting, in the order in which answers show them.
pub(crate) const NAMES: &[&str] = &[
    UID,
    FILTER,
    CHANNELS,
    METADATA,
    TIMEOUT,
    RETRY,
    DISABLE,
    CONCURRENCY,
    RATE_LIMIT,
    SAMPLE,
    ORDERED,
    ON_FAILURE,
    egress::HEADERS,
    egress::AUTH,
    egress::TLS,
    egress::PROXY,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dialect::tests::dialect;
    use crate::domain::event::Content;
    use crate::domain::event::fixture::event;

    /// A value for each setting, as it is printed again.
    const EXAMPLES: &[(&str, &str)] = &[
        (UID, r#""billing.eu""#),
        (FILTER, r#"{"data": {"amount": {"$gt": 100}}}"#),
        (CHANNELS, r#"["project-1","project-2"]"#),
        (METADATA, r#"{"plan":"pro"}"#),
        (TIMEOUT, r#""10s""#),
        (RETRY, r#"{"schedule":["1m","5m"]}"#),
        (DISABLE, r#"{"consecutive":3,"count":"attempts"}"#),
        (CONCURRENCY, "4"),
        (RATE_LIMIT, "\"600/m\""),
        (SAMPLE, "0.25"),
        (ORDERED, "true"),
        (ON_FAILURE, "\"hold\""),
        (egress::HEADERS, r#"{"X-Api-Key":"a-key-of-its-own"}"#),
        (egress::AUTH, r#"{"token":"a-key-of-its-own","type":"bearer"}"#),
        (egress::TLS, AUTHORITY),
        (egress::PROXY, r#""http://u:a%2Dkey%2Dof%2Dits%2Down@proxy.test:3128""#),
    ];

    /// A certificate that signs itself, made for this test.
    const AUTHORITY: &str = r#"{"ca":"-----BEGIN CERTIFICATE-----\nMIIBmDCCAT+gAwIBAgIUeHwNqakcs1aKNzyh/pKdcMjyxuowCgYIKoZIzj0EAwIw\nITEfMB0GA1UEAwwWYW4gYXV0aG9yaXR5IGZvciB0ZXN0czAgFw0yNjExMjcxOTE1\nMDdaGA8yMTI2MTEwMzE5MTUwN1owITEfMB0GA1UEAwwWYW4gYXV0aG9yaXR5IGZv\nciB0ZXN0czBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJ+h4/xB9LCWw9rHhsCV\nAAEQK8GSsMjol4HxhOldDD0l6uwZZUddSExsmDCoYLW6bD9F4g5dMIRItXgkAZu9\n4MCjUzBRMB0GA1UdDgQWBBQw29hg8XeyU8saCuIj1VlsxVOCxDAfBgNVHSMEGDAW\ngBQw29hg8XeyU8saCuIj1VlsxVOCxDAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49\nBAMCA0cAMEQCIHbkQ4HKCyCjlnOdQwu0bLnfCQDcs8ACihZAmPWfV8gvAiBJ4Wob\nMtjX6zF1y8+yF+Kmuwuqfw9HFSLMTynV9NjcNQ==\n-----END CERTIFICATE-----\n"}"#;

    fn all() -> Arc<WebhookSettings> {
        let changes: Vec<_> = EXAMPLES.iter().map(|(name, json)| Setting::read(name, json).expect(name)).collect();
        WebhookSettings::default().with(&changes)
    }

    #[test]
    fn every_setting_reads_back_from_its_print() {
        let (settings, expected) = (all(), EXAMPLES.to_vec());
        let printed = settings.kept().into_iter().map(|one| match one {
            Kept::Plain(Member { name, json }) => (name, json.into_owned()),
            Kept::Secret { name, json } => (name, json.expose().to_owned()),
        });
        let printed: Vec<_> = printed.collect();
        assert_eq!(printed.iter().map(|(name, json)| (*name, json.as_str())).collect::<Vec<_>>(), expected);
        assert_eq!(EXAMPLES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), NAMES);
    }

    #[test]
    fn null_takes_a_setting_away() {
        let changes: Vec<_> = NAMES.iter().map(|name| Setting::read(name, "null").expect(name)).collect();
        assert!(Arc::ptr_eq(&all().with(&changes), &WebhookSettings::none()));
    }

    #[test]
    fn what_differs_is_told_by_name() {
        assert_eq!(all().differences(&WebhookSettings::default()), NAMES);
        assert_eq!(all().differences(&all()), [""; 0]);
    }

    #[test]
    fn secrets_that_are_masked_alike_still_differ() {
        let with = |json| WebhookSettings::default().with(&[Setting::read(egress::HEADERS, json).expect(json)]);
        let [one, other] = [r#"{"X-Api-Key":"a-key-of-its-own"}"#, r#"{"X-Api-Key":"a-key-of-another"}"#].map(with);
        assert_eq!(one.members(), other.members());
        assert_eq!(one.differences(&other), [egress::HEADERS]);
    }

    #[test]
    fn what_is_kept_sealed_is_shown_masked_and_in_no_debug_form() {
        let settings = all();
        for kept in settings.kept() {
            assert_eq!(is_sealed(kept.name()), matches!(kept, Kept::Secret { .. }), "{}", kept.name());
        }
        let shown = format!("{:?} {settings:?} {:?}", settings.members(), settings.kept());
        assert!(!shown.contains("a-key-of-its-own") && shown.contains("…("), "{shown}");
    }

    #[test]
    fn a_wrong_value_and_an_unknown_name_are_refused() {
        let refused = |name, json| Setting::read(name, json).expect_err(json)[0].pointer.clone();
        assert_eq!(refused(FILTER, r#"{"data":{"n":{"$gt":[]}}}"#), "/data/n/$gt");
        assert_eq!([refused(CHANNELS, r#"["a b"]"#), refused(METADATA, r#"{"a":1}"#)], ["/0", "/a"]);
        assert_eq!(refused("filters", "{}"), "");
        assert_eq!([refused(UID, "1"), refused(UID, r#""a/b""#), refused(UID, r#""wh_01K0000000000000000000000A""#)], [""; 3]);
        assert_eq!([refused(ORDERED, "1"), refused(ON_FAILURE, "\"stop\"")], ["", ""]);
        for wrong in ["0", "-1", "1.1", "\"0.5\"", "true"] {
            let told = Setting::read(SAMPLE, wrong).expect_err(wrong);
            assert_eq!(told[0].reason, "is not a number above 0 and up to 1");
        }
    }

    #[test]
    fn a_webhook_with_channels_gets_events_that_share_one() {
        let of = |names: &[&str]| Channels::new(names.iter().copied());
        let settings = WebhookSettings { channels: of(&["a", "b"]), ..WebhookSettings::default() };
        assert!(settings.narrows() && settings.takes(&of(&["b", "c"])));
        assert!(!settings.takes(&of(&["c"])) && !settings.takes(&of(&[])));
        assert!(WebhookSettings::default().takes(&of(&[])) && WebhookSettings::default().takes(&of(&["c"])));
    }

    #[test]
    fn an_event_passes_only_where_channels_sample_and_filter_let_it() {
        let event = |channels: &[&str]| Event {
            channels: Channels::new(channels.iter().copied()),
            content: Content::new(b"{\"n\":1}".to_vec(), Some(0..7), b""),
            ..event(1, 0)
        };
        let passes = |settings: &[(&str, &str)], channels: &[&str]| {
            let changes: Vec<_> = settings.iter().map(|(name, json)| Setting::read(name, json).expect(name)).collect();
            WebhookSettings::default().with(&changes).lets_through(&event(channels))
        };
        assert!(passes(&[], &["a"]) && passes(&[(CHANNELS, "[\"a\"]")], &["a"]));
        assert!(!passes(&[(CHANNELS, "[\"a\"]")], &["b"]));
        assert!(passes(&[(FILTER, "{\"data\":{\"n\":1}}"), (SAMPLE, "1")], &[]));
        assert!(!passes(&[(FILTER, "{\"data\":{\"n\":2}}")], &[]) && !passes(&[(SAMPLE, "0.0001")], &[]));
    }

    #[test]
    fn what_the_operator_may_name_alone_is_marked_as_the_operators() {
        let proxy = || Setting::read(egress::PROXY, "\"http://10.0.0.1:3128\"").expect("a proxy");
        let is_operators = |setting: Setting| {
            let settings = WebhookSettings::default().with(&[setting]);
            settings.kept().iter().any(|one| one.name() == egress::IS_OPERATORS_PROXY)
        };
        assert!(!is_operators(proxy()) && is_operators(proxy().of_operator()));
        let plain = Setting::read(CONCURRENCY, "4").expect("a number");
        assert!(matches!(plain.of_operator(), Setting::Concurrency(Some(_))), "all else is as it was");
    }

    #[test]
    fn a_setting_tells_its_url_and_what_stands_against_it() {
        let read = |name, json| Setting::read(name, json).expect(json);
        let oauth2 = r#"{"type":"oauth2","token_url":"https://a.test/","client_id":"i","client_secret":"s"}"#;
        assert_eq!(read(egress::AUTH, oauth2).url(), Some(("/token_url", "https://a.test/")));
        assert_eq!([read(egress::PROXY, "\"none\"").url(), read(CONCURRENCY, "4").url()], [None; 2]);
        let standard = &dialect();
        let own = format!("{{\"{}\":\"mine\"}}", standard.headers[0].name.as_str());
        let signed = read(egress::HEADERS, &own).conflicts(standard);
        assert_eq!(signed.len(), 1, "the dialect sends it: {signed:?}");
        for (name, json) in [(egress::AUTH, oauth2), (egress::PROXY, "\"none\""), (CONCURRENCY, "4")] {
            assert_eq!(read(name, json).conflicts(standard), [], "{name}");
        }
    }
}
