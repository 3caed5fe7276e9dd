//! Access tokens of webhooks: asked for at an authorization server, kept in memory until shortly before their end, and asked for by one
//! attempt at a time.
//!
//! ```text
//!   attempt ──▶ kept and not refused? ──▶ use it
//!                     │ no
//!                     ▼
//!               the turn of these credentials ──▶ did somebody ask meanwhile? ──▶ share what came of it
//!                                                      │ no
//!                                                      ▼
//!                                                 ask, and keep the token
//! ```

pub(super) mod answer;
pub(super) mod asking;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;
use crate::deliver::connect::Unconnected;
use crate::domain::delivery::outcome::Failure;
use crate::domain::id::TenantNo;
use crate::domain::webhook::egress::TlsId;
use crate::domain::webhook::egress::auth::client_credentials::CredentialsId;
use crate::domain::webhook::secret::Secret;
use answer::Granted;

/// The tokens that were used lately: at most [`SLOTS_MAX`].
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<TokenKey, Used>>);

#[derive(Debug)]
struct Used {
    slot: Arc<Slot>,
    last: Instant,
}

/// Who may share a token: the webhooks of one tenant that ask with the same credentials by the same way. A server may bind a token to
/// the client certificate that was shown (RFC 8705), and what one tenant obtained is not given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    pub(super) tenant: TenantNo,
    pub(super) credentials: CredentialsId,
    /// `None` for the TLS of webhooks that say nothing about it.
    pub(super) tls: Option<TlsId>,
}

/// A token that an attempt may use.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) value: Secret,
    /// Tells it from the tokens that were asked for before and after it with the same key.
    number: u64,
}

/// What is known of the token of one key.
#[derive(Debug, Default)]
struct Slot {
    /// Held by the one attempt that asks for a token.
    turn: tokio::sync::Mutex<()>,
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    /// How often a token was asked for and an answer, or none, was waited for to the end.
    count: u64,
    /// What came of the last time.
    last: Option<Result<Kept, Failure>>,
}

#[derive(Clone, Debug)]
struct Kept {
    token: Token,
    /// Until when another attempt may use the token.
    until: Instant,
}

impl Tokens {
    /// A token for those who share `key`. `refused` is the token that the endpoint has refused, which is not given again. `ask` asks the
    /// authorization server, if that is necessary and nobody else does it at the same time.
    ///
    /// Fails as asking failed. Those who waited for it meanwhile fail too, and do not ask one after the other. Whoever drops this call
    /// leaves the turn to the next.
    pub(super) async fn token(
        &self,
        key: TokenKey,
        refused: Option<&Token>,
        ask: impl Future<Output = Result<Granted, Unconnected>>,
    ) -> Result<Token, Unconnected> {
        let now = clock::steady();
        let slot = self.slot(key, now);
        if let Some(token) = slot.kept(refused, now) {
            return Ok(token);
        }
        let before = slot.asked().count;
        let _turn = slot.turn.lock().await;
        if let Some(shared) = slot.came_after(before) {
            return shared.map_err(Into::into);
        }
        slot.keep(ask.await)
    }

    /// Forgets tokens that may not be used any more, and those that nobody has used for [`UNUSED_MAX`].
    pub(super) fn tidy(&self, now: Instant) {
        let is_fresh = |used: &Used| now.saturating_duration_since(used.last) < UNUSED_MAX && used.slot.kept(None, now).is_some();
        self.all().retain(|_, used| Arc::strong_count(&used.slot) > 1 || is_fresh(used));
    }

    /// The slot of a key, which is used at `now`. A new slot takes the place of the one that was not used for longest, if there are
    /// too many.
    fn slot(&self, key: TokenKey, now: Instant) -> Arc<Slot> {
        let mut all = self.all();
        if all.len() >= SLOTS_MAX && !all.contains_key(&key) {
            // All are looked at, which costs less than the answer that the new slot has to wait for.
            let oldest = all.iter().min_by_key(|(_, used)| used.last).map(|(key, _)| *key);
            oldest.map(|oldest| all.remove(&oldest));
        }
        let used = all.entry(key).or_insert_with(|| Used { slot: Arc::default(), last: now });
        used.last = now;
        used.slot.clone()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<TokenKey, Used>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kept token, unless its time is over or it is the one that was refused.
    fn kept(&self, refused: Option<&Token>, now: Instant) -> Option<Token> {
        match &self.asked().last {
            Some(Ok(kept)) if now < kept.until && refused.is_none_or(|refused| refused.number != kept.token.number) => {
                Some(kept.token.clone())
            }
            _ => None,
        }
    }

    /// What came of asking, if somebody has asked since the count was `before`.
    fn came_after(&self, before: u64) -> Option<Result<Token, Failure>> {
        let asked = self.asked();
        let last = asked.last.as_ref().filter(|_| asked.count > before)?;
        Some(last.as_ref().map(|kept| kept.token.clone()).map_err(Failure::clone))
    }

    fn keep(&self, came: Result<Granted, Unconnected>) -> Result<Token, Unconnected> {
        let mut asked = self.asked();
        let number = asked.count + 1;
        let kept = match came {
            Ok(Granted { token, lasts }) => {
                Ok(Kept { token: Token { value: token, number }, until: clock::steady() + lasts.saturating_sub(MARGIN) })
            }
            Err(Unconnected::Failed(failure)) => Err(failure),
            // This machine lacks something, so nothing is known of the authorization server.
            Err(Unconnected::Shortage(shortage)) => return Err(Unconnected::Shortage(shortage)),
        };
        *asked = Asked { count: number, last: Some(kept.clone()) };
        kept.map(|kept| kept.token).map_err(Into::into)
    }
}

/// How long before its end a token is asked for again, so that none ends on its way.
const MARGIN: Duration = Duration::from_secs(30);

/// How long a token is kept that nobody uses, however long the server says that it is good.
const UNUSED_MAX: Duration = Duration::from_secs(600);

/// The most tokens that are kept, over all tenants.
const SLOTS_MAX: usize = 10_000;

#[cfg(test)]
mod tests;
