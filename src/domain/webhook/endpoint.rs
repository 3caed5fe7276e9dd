//! A webhook as the engine sees it: where deliveries go, for which event types, with which signature, and in which state it is.

use std::sync::Arc;

use super::effective::Effective;
use super::pattern::Pattern;
use super::secret::Secret;
use super::settings::WebhookSettings;
use crate::domain::dialect::{Dialect, Disable};
use crate::domain::id::{EndpointNo, TenantNo};
use crate::domain::time::Timestamp;

/// A webhook. It never changes: a change makes a new value.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) no: EndpointNo,
    pub(crate) id: Box<str>,
    pub(crate) provider: Box<str>,
    pub(crate) tenant: Box<str>,
    pub(crate) tenant_no: TenantNo,
    pub(crate) definition: Definition,
    pub(crate) owner: Owner,
    pub(crate) created_at: Timestamp,
    /// When the definition was last set. `explain` mentions it when it is later than the event.
    pub(crate) changed_at: Timestamp,
    pub(crate) state: WebhookState,
    /// The number of consecutive failures, as the dialect counts them.
    pub(crate) failures: u32,
    /// The secrets, the newest first. The list is empty only when the dialect signs nothing.
    pub(crate) secrets: Vec<LiveSecret>,
    /// URLs that were pinned before this time do not count any more: they may be the one that was taken out of the config file.
    pub(crate) pins_from: Timestamp,
}

/// What the calls for creating and replacing a webhook set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    pub(crate) name: Box<str>,
    pub(crate) description: Box<str>,
    /// The URL in canonical form, as `target` printed it.
    pub(crate) url: Box<str>,
    pub(crate) events: Vec<Pattern>,
    pub(crate) settings: Arc<WebhookSettings>,
}

/// Who made the webhook, and so who may change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The config file. Such a webhook is identified by provider, tenant and name.
    File,
    /// A tenant's key, by its id.
    Key(Box<str>),
    /// A provider's key, by its id. What it makes for a tenant uses up nothing of what that tenant's keys may make.
    Provider(Box<str>),
    Operator,
}

/// Whether deliveries go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WebhookState {
    Active,
    Disabled {
        at: Timestamp,
        why: Why,
    },
    /// The webhook's table, or that of its tenant or provider, was taken out of the config file. It matches no event and is sent
    /// nothing. When its table comes back it is as before, disabled or not.
    Removed {
        at: Timestamp,
        disabled: Option<(Timestamp, Why)>,
    },
    /// The webhook is deleted. It is kept until its log is gone, and only the log shows it.
    Deleted {
        at: Timestamp,
    },
}

/// Why a webhook is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It had so many failures in a row.
    Failures(u32),
    /// The endpoint answered 410.
    Gone,
    /// It is ordered, a delivery failed, and what comes behind it is to be held.
    Held,
    ByHand,
}

impl Why {
    /// The reason as the API shows it.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Failures(count) => format!("{count} consecutive failures"),
            Self::Gone => "the endpoint answered 410 Gone".into(),
            Self::Held => "a delivery failed, and `on_failure` is `hold`".into(),
            Self::ByHand => "disabled by hand".into(),
        }
    }
}

/// A secret that signs, without end or until the overlap of a rotation ends.
#[derive(Clone, Debug)]
pub(crate) struct LiveSecret {
    pub(crate) secret: Secret,
    pub(crate) until: Option<Timestamp>,
}

/// What an outcome does to the count of consecutive failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Keep,
    Reset,
    Raise,
}

impl Endpoint {
    pub(crate) fn is_active(&self) -> bool {
        self.state == WebhookState::Active
    }

    pub(crate) fn is_deleted(&self) -> bool {
        matches!(self.state, WebhookState::Deleted { .. })
    }

    /// Whether the webhook is out of the config file at present.
    pub(crate) fn is_removed(&self) -> bool {
        matches!(self.state, WebhookState::Removed { .. })
    }

    /// Whether new events can match the webhook. For a disabled one they are held.
    pub(crate) fn is_subscribed(&self) -> bool {
        matches!(self.state, WebhookState::Active | WebhookState::Disabled { .. })
    }

    /// Whether an attempt may be made. A disabled webhook still gets tests.
    pub(crate) fn is_sent(&self, test: bool) -> bool {
        self.is_active() || (test && self.is_subscribed())
    }

    /// Since when the webhook is sent nothing, and why, for people. `None` when it is active or deleted.
    pub(crate) fn stopped(&self) -> Option<(Timestamp, String)> {
        match self.state {
            WebhookState::Active | WebhookState::Deleted { .. } => None,
            WebhookState::Disabled { at, why } => Some((at, why.text())),
            WebhookState::Removed { at, .. } => Some((at, REMOVED.into())),
        }
    }

    /// Whether what its endpoint answered disabled it, also when it was taken out of the config file since then.
    pub(crate) fn was_disabled_by_failures(&self) -> bool {
        let why = match self.state {
            WebhookState::Disabled { why, .. } | WebhookState::Removed { disabled: Some((_, why)), .. } => Some(why),
            WebhookState::Active | WebhookState::Removed { disabled: None, .. } | WebhookState::Deleted { .. } => None,
        };
        matches!(why, Some(Why::Failures(_) | Why::Gone | Why::Held))
    }

    /// The URL that a delivery made at `made_at` is sent to: the one that a connection pinned, if that still counts, else the
    /// webhook's own.
    pub(crate) fn url_of<'a>(&'a self, pinned: Option<&'a str>, made_at: Timestamp) -> &'a str {
        pinned.filter(|_| made_at >= self.pins_from).unwrap_or(&self.definition.url)
    }

    pub(crate) fn is_file_owned(&self) -> bool {
        self.owner == Owner::File
    }

    /// The rules by which its deliveries are attempted.
    pub(crate) fn effective<'a>(&'a self, dialect: &'a Dialect) -> Effective<'a> {
        Effective::new(&self.definition.settings, dialect)
    }

    pub(crate) fn wants(&self, kind: &str) -> bool {
        self.definition.events.iter().any(|pattern| pattern.matches(kind))
    }

    /// The secrets that sign at `now`, the newest first.
    pub(crate) fn signing(&self, now: Timestamp) -> Vec<&Secret> {
        let live = |held: &&LiveSecret| held.until.is_none_or(|until| now < until);
        self.secrets.iter().filter(live).map(|held| &held.secret).collect()
    }

    /// Counts one failure or success. With as many failures in a row as the dialect says, the webhook is disabled.
    pub(crate) fn counted(mut self, count: Count, disable: &Disable, now: Timestamp) -> Self {
        self.failures = match count {
            Count::Keep => self.failures,
            Count::Reset => 0,
            Count::Raise => self.failures.saturating_add(1),
        };
        let spent = disable.consecutive > 0 && self.failures >= disable.consecutive;
        let why = Why::Failures(self.failures);
        if spent && count == Count::Raise { self.disabled(why, now) } else { self }
    }

    /// Disables the webhook, by hand, by a 410 or by failures. When it is disabled already, the first cause stays. When it is out
    /// of the config file, it will be disabled when it comes back.
    pub(crate) fn disabled(mut self, why: Why, now: Timestamp) -> Self {
        match &mut self.state {
            WebhookState::Active => self.state = WebhookState::Disabled { at: now, why },
            WebhookState::Removed { disabled, .. } => *disabled = disabled.or(Some((now, why))),
            WebhookState::Disabled { .. } | WebhookState::Deleted { .. } => {}
        }
        self
    }

    /// Enables the webhook, with a new count of failures.
    pub(crate) fn enabled(mut self) -> Self {
        self.state = WebhookState::Active;
        self.failures = 0;
        self
    }

    /// Takes the webhook out together with its table in the config file. `now` must be later than every event so far, so that no
    /// pin made before counts any more.
    pub(crate) fn removed(mut self, now: Timestamp) -> Self {
        let disabled = match self.state {
            WebhookState::Removed { .. } | WebhookState::Deleted { .. } => return self,
            WebhookState::Active => None,
            WebhookState::Disabled { at, why } => Some((at, why)),
        };
        self.state = WebhookState::Removed { at: now, disabled };
        self.pins_from = now;
        self
    }

    /// Brings the webhook back into the state it had before it was taken out. The count of failures goes on.
    pub(crate) fn restored(mut self) -> Self {
        if let WebhookState::Removed { disabled, .. } = self.state {
            self.state = disabled.map_or(WebhookState::Active, |(at, why)| WebhookState::Disabled { at, why });
        }
        self
    }

    /// What is left of a deleted webhook: what the log shows of it.
    pub(crate) fn deleted(self, now: Timestamp) -> Self {
        let (events, settings) = (Vec::new(), WebhookSettings::none());
        let definition = Definition { description: Box::default(), events, settings, ..self.definition };
        Self { state: WebhookState::Deleted { at: now }, secrets: Vec::new(), definition, ..self }
    }
}

/// The reason why nothing is sent to a webhook that the config file does not name any more.
const REMOVED: &str = "taken out of the config file";

#[cfg(test)]
pub(crate) mod fixture {
    //! A webhook for tests.

    use super::*;

    /// An active webhook of provider `acme` and tenant `t1`.
    pub(crate) fn endpoint(events: &[&str]) -> Endpoint {
        Endpoint {
            no: EndpointNo(1),
            id: "wh_1".into(),
            provider: "acme".into(),
            tenant: "t1".into(),
            tenant_no: TenantNo(1),
            definition: Definition {
                name: "".into(),
                description: "".into(),
                url: "https://example.com/".into(),
                events: events.iter().map(|text| Pattern::parse(text).expect("a pattern")).collect(),
                settings: WebhookSettings::none(),
            },
            owner: Owner::Operator,
            created_at: Timestamp::EPOCH,
            changed_at: Timestamp::EPOCH,
            state: WebhookState::Active,
            failures: 0,
            secrets: Vec::new(),
            pins_from: Timestamp::EPOCH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::endpoint;
    use super::*;
    use crate::domain::dialect::Counted;

    const NOW: Timestamp = Timestamp::from_micros(5);
    const DISABLE: Disable = Disable { consecutive: 2, count: Counted::Deliveries };

    #[test]
    fn a_removed_webhook_matches_and_is_sent_nothing() {
        let removed = endpoint(&["*"]).removed(NOW);
        assert!(!removed.is_subscribed() && !removed.is_sent(false) && !removed.is_sent(true));
        let disabled = endpoint(&["*"]).disabled(Why::ByHand, NOW);
        assert!(disabled.is_subscribed() && !disabled.is_sent(false) && disabled.is_sent(true));
    }

    #[test]
    fn a_restored_webhook_is_as_before() {
        let active = Endpoint { failures: 1, ..endpoint(&["*"]) };
        let back = active.clone().removed(NOW).restored();
        assert_eq!((back.state, back.failures), (WebhookState::Active, 1));
        let failed = active.counted(Count::Raise, &DISABLE, NOW);
        assert_eq!(failed.clone().removed(NOW).restored().state, failed.state);
    }

    #[test]
    fn a_webhook_disabled_while_removed_comes_back_disabled() {
        let out = || Endpoint { failures: 1, ..endpoint(&["*"]) }.removed(NOW);
        let why = |endpoint: Endpoint| match endpoint.restored().state {
            WebhookState::Disabled { why, .. } => Some(why),
            _ => None,
        };
        assert_eq!(why(out().disabled(Why::ByHand, NOW).disabled(Why::Gone, NOW)), Some(Why::ByHand));
        assert_eq!(why(out().counted(Count::Raise, &DISABLE, NOW)), Some(Why::Failures(2)));
        assert_eq!(why(out().counted(Count::Keep, &DISABLE, NOW)), None);
    }

    #[test]
    fn a_pin_does_not_outlive_a_removal() {
        let (before, after) = (Timestamp::from_micros(4), Timestamp::from_micros(6));
        let pinned = Some("https://example.org/");
        let back = endpoint(&["*"]).removed(NOW).restored();
        assert_eq!(back.url_of(pinned, before), "https://example.com/");
        assert_eq!(back.url_of(pinned, after), "https://example.org/");
        assert_eq!(endpoint(&["*"]).url_of(pinned, before), "https://example.org/");
    }

    #[test]
    fn a_tombstone_keeps_its_name_and_url_and_no_secret() {
        let secret = LiveSecret { secret: Secret::new("s"), until: None };
        let left = Endpoint { secrets: vec![secret], ..endpoint(&["*"]) }.deleted(NOW);
        assert_eq!((&*left.definition.url, left.secrets.len(), left.definition.events.len()), ("https://example.com/", 0, 0));
        assert!(!left.is_subscribed() && left.stopped().is_none());
    }

    #[test]
    fn a_stopped_webhook_says_since_when_and_why() {
        let disabled = |why| endpoint(&["*"]).disabled(why, NOW).stopped();
        assert_eq!(disabled(Why::Failures(7)), Some((NOW, "7 consecutive failures".into())));
        assert_eq!(disabled(Why::Gone), Some((NOW, "the endpoint answered 410 Gone".into())));
        assert_eq!(disabled(Why::ByHand), Some((NOW, "disabled by hand".into())));
        let removed = endpoint(&["*"]).removed(NOW);
        assert_eq!(removed.stopped(), Some((NOW, "taken out of the config file".into())));
        assert!(removed.is_removed() && !removed.is_deleted());
        let deleted = removed.deleted(NOW);
        assert!(deleted.stopped().is_none() && deleted.is_deleted() && !deleted.is_removed());
        assert_eq!(endpoint(&["*"]).stopped(), None);
    }

    #[test]
    fn failures_disabled_a_webhook_also_when_it_is_removed_since() {
        for (why, failed) in [(Why::Failures(2), true), (Why::Gone, true), (Why::ByHand, false)] {
            let disabled = endpoint(&["*"]).disabled(why, NOW);
            assert_eq!(disabled.was_disabled_by_failures(), failed, "{why:?}");
            assert_eq!(disabled.removed(NOW).was_disabled_by_failures(), failed, "{why:?}");
        }
        let others = [endpoint(&["*"]), endpoint(&["*"]).removed(NOW), endpoint(&["*"]).deleted(NOW)];
        assert!(!others.iter().any(Endpoint::was_disabled_by_failures));
    }

    #[test]
    fn the_first_cause_of_being_disabled_stays() {
        let twice = endpoint(&["*"]).disabled(Why::Gone, NOW).disabled(Why::ByHand, Timestamp::from_micros(9));
        assert_eq!(twice.state, WebhookState::Disabled { at: NOW, why: Why::Gone });
        let deleted = endpoint(&["*"]).deleted(NOW);
        assert_eq!(deleted.clone().disabled(Why::ByHand, NOW).state, deleted.state);
    }

    #[test]
    fn a_webhook_enabled_again_counts_from_0() {
        let failed = Endpoint { failures: 1, ..endpoint(&["*"]) }.counted(Count::Raise, &DISABLE, NOW);
        assert!(!failed.is_active());
        let enabled = failed.enabled();
        assert_eq!((enabled.state, enabled.failures), (WebhookState::Active, 0));
    }

    #[test]
    fn a_success_ends_the_failures_in_a_row() {
        let once = endpoint(&["*"]).counted(Count::Raise, &DISABLE, NOW);
        let again = once.counted(Count::Reset, &DISABLE, NOW).counted(Count::Raise, &DISABLE, NOW);
        assert_eq!((again.state, again.failures), (WebhookState::Active, 1));
        let never = Disable { consecutive: 0, ..DISABLE };
        let many = (0..50).fold(endpoint(&["*"]), |endpoint, _| endpoint.counted(Count::Raise, &never, NOW));
        assert_eq!((many.state, many.failures), (WebhookState::Active, 50));
    }

    #[test]
    fn what_is_removed_or_deleted_is_not_removed_again() {
        let later = Timestamp::from_micros(9);
        let removed = endpoint(&["*"]).removed(NOW).removed(later);
        assert_eq!((removed.state, removed.pins_from), (WebhookState::Removed { at: NOW, disabled: None }, NOW));
        assert!(endpoint(&["*"]).deleted(NOW).removed(later).is_deleted());
        assert!(endpoint(&["*"]).restored().is_active());
    }

    #[test]
    fn a_webhook_wants_what_any_of_its_patterns_matches() {
        let wants = endpoint(&["a.b", "c.*"]);
        assert!(wants.wants("a.b") && wants.wants("c.d") && !wants.wants("a.c"));
        assert!(!endpoint(&[]).wants("a.b"));
    }

    #[test]
    fn a_rotated_secret_signs_until_its_overlap_ends() {
        let secret = |text: &str, until| LiveSecret { secret: Secret::new(text), until };
        let secrets = vec![secret("new", None), secret("old", Some(NOW))];
        let rotated = Endpoint { secrets, ..endpoint(&["*"]) };
        let signing = |now| rotated.signing(now).into_iter().map(Secret::expose).collect::<Vec<_>>();
        assert_eq!(signing(Timestamp::from_micros(4)), ["new", "old"]);
        assert_eq!(signing(NOW), ["new"]);
    }

    #[test]
    fn only_the_files_webhooks_are_owned_by_it() {
        let owned = |owner| Endpoint { owner, ..endpoint(&["*"]) }.is_file_owned();
        assert!(owned(Owner::File));
        assert!(!owned(Owner::Operator) && !owned(Owner::Key("key_1".into())) && !owned(Owner::Provider("key_1".into())));
    }
}
