//! Who is signed in to the dashboard, and the links by which an operator signs in.
//!
//! Both are in memory alone: a restart signs everybody out, and nothing on the disk opens the dashboard. A session ends after 12 h, when
//! its viewer signs out, and when its key is revoked or expires, since the key is looked up again for each request. A session and a
//! link are known by the SHA-256 of their text, which only the browser has.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use crate::api::random;
use crate::api::request::auth::hash;
use crate::api::response::problem::Problem;
use crate::domain::access::KeyHash;
use crate::domain::time::Timestamp;
use crate::domain::webhook::secret::Secret;

/// The sessions and the links that are open.
#[derive(Debug, Default)]
pub(in crate::api) struct Sessions(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    sessions: HashMap<KeyHash, Kept>,
    /// The user who asked for each link, and when the link ends.
    links: HashMap<KeyHash, (Option<u32>, Duration)>,
}

#[derive(Clone, Debug)]
struct Kept {
    session: Session,
    /// When it ends, since the machine was booted.
    until: Duration,
    /// The secret that was made last, until the session has seen it.
    unseen: Option<Unseen>,
}

/// A webhook's secret that was just made, and that its maker is shown once.
#[derive(Clone, Debug)]
pub(super) struct Unseen {
    /// The id of the webhook.
    pub(super) webhook: Box<str>,
    pub(super) secret: Secret,
    pub(super) made: Made,
}

/// How a secret came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    WithWebhook,
    /// By a rotation. The old secret signs beside it until then; with `None` it signs nothing more.
    ByRotation(Option<Timestamp>),
}

/// A session.
#[derive(Clone, Debug)]
pub(in crate::api) struct Session {
    pub(super) by: By,
    /// The token that each form of the session carries.
    pub(super) csrf: Box<str>,
}

/// How somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum By {
    /// With the key of this hash.
    Key(KeyHash),
    /// As the operator, by a link that this user of the machine asked for at the admin socket.
    Link(Option<u32>),
    /// At the laptop on which `dev` runs.
    Dev,
}

impl Session {
    /// Whether a form carries the session's token.
    pub(super) fn sent(&self, csrf: &str) -> bool {
        bool::from(self.csrf.as_bytes().ct_eq(csrf.as_bytes()))
    }
}

impl Sessions {
    /// Opens a session, and returns it with the text for the browser's cookie. Where somebody has too many, or there are too many in
    /// all, the session that ends first gives way.
    pub(super) fn open(&self, by: By, now: Duration) -> Result<(String, Session), Problem> {
        let (text, csrf) = (text(random::bytes::<32>()?), text(random::bytes::<16>()?));
        let session = Session { by, csrf: csrf.into() };
        let mut open = self.lock();
        open.sessions.retain(|_, kept| kept.until > now);
        open.make_room(|kept| kept.session.by == by, SESSIONS_EACH_MAX);
        open.make_room(|_| true, SESSIONS_MAX);
        open.sessions.insert(hash(text.as_bytes()), Kept { session: session.clone(), until: now + SESSION_LASTS, unseen: None });
        Ok((text, session))
    }

    /// The session of a cookie. `None` for one that has ended or never was.
    pub(super) fn find(&self, cookie: &str, now: Duration) -> Option<Session> {
        let open = self.lock();
        open.sessions.get(&hash(cookie.as_bytes())).filter(|kept| kept.until > now).map(|kept| kept.session.clone())
    }

    /// Keeps a secret until its maker has seen it. One of before that was not seen is dropped.
    pub(super) fn keep(&self, cookie: &str, unseen: Unseen) {
        if let Some(kept) = self.lock().sessions.get_mut(&hash(cookie.as_bytes())) {
            kept.unseen = Some(unseen);
        }
    }

    /// Takes the secret of a webhook that the session has not seen. There is none the next time.
    pub(super) fn take_unseen(&self, cookie: &str, webhook: &str) -> Option<Unseen> {
        let mut open = self.lock();
        open.sessions.get_mut(&hash(cookie.as_bytes()))?.unseen.take_if(|unseen| *unseen.webhook == *webhook)
    }

    pub(super) fn close(&self, cookie: &str) {
        self.lock().sessions.remove(&hash(cookie.as_bytes()));
    }

    /// Makes a link that signs an operator in once. `user` is the user of the machine who asks for it.
    pub(in crate::api) fn link(&self, user: Option<u32>, now: Duration) -> Result<String, Problem> {
        let text = text(random::bytes::<32>()?);
        let mut open = self.lock();
        open.links.retain(|_, (_, until)| *until > now);
        if open.links.len() >= LINKS_MAX {
            let oldest = open.links.iter().min_by_key(|(_, (_, until))| *until).map(|(link, _)| *link);
            oldest.map(|link| open.links.remove(&link));
        }
        open.links.insert(hash(text.as_bytes()), (user, now + LINK_LASTS));
        Ok(text)
    }

    /// Uses a link up. `None` for one that was used, has ended or never was.
    pub(super) fn use_link(&self, link: &str, now: Duration) -> Option<By> {
        let found = self.lock().links.remove(&hash(link.as_bytes()));
        found.filter(|(_, until)| *until > now).map(|(user, _)| By::Link(user))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Closes sessions of those that `counts`, those that end first, until there is room for one more.
    fn make_room(&mut self, counts: impl Fn(&Kept) -> bool, most: usize) {
        let mut theirs: Vec<(Duration, KeyHash)> =
            self.sessions.iter().filter(|(_, kept)| counts(kept)).map(|(cookie, kept)| (kept.until, *cookie)).collect();
        if theirs.len() >= most {
            theirs.sort_unstable();
            let beyond = theirs.len() + 1 - most;
            theirs[..beyond].iter().for_each(|(_, cookie)| drop(self.sessions.remove(cookie)));
        }
    }
}

/// Random bytes as text that may stand in a cookie and in a URL.
fn text<const N: usize>(random: [u8; N]) -> String {
    URL_SAFE_NO_PAD.encode(random)
}

/// How long a session lasts: a working day.
pub(super) const SESSION_LASTS: Duration = Duration::from_secs(12 * 3_600);

/// How long a link may be used.
pub(in crate::api) const LINK_LASTS: Duration = Duration::from_secs(15 * 60);

/// Sessions in all, some 200 bytes each.
const SESSIONS_MAX: usize = 4_096;

/// Sessions of one key, or of all operators by link.
const SESSIONS_EACH_MAX: usize = 32;

/// Links that may be open at once.
const LINKS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    #[test]
    fn a_session_lasts_twelve_hours() {
        let sessions = Sessions::default();
        let (cookie, opened) = sessions.open(By::Dev, NOW).unwrap();
        assert!(
            sessions.find(&cookie, NOW + SESSION_LASTS - Duration::from_secs(1)).is_some_and(|found| found.csrf == opened.csrf)
        );
        assert!(sessions.find(&cookie, NOW + SESSION_LASTS).is_none());
        assert!(sessions.find("another", NOW).is_none());
    }

    #[test]
    fn a_session_ends_when_its_viewer_signs_out() {
        let sessions = Sessions::default();
        let [(first, _), (second, _)] = [1, 2].map(|_| sessions.open(By::Link(None), NOW).unwrap());
        sessions.close(&first);
        assert!(sessions.find(&first, NOW).is_none() && sessions.find(&second, NOW).is_some());
    }

    #[test]
    fn a_link_works_once_and_for_fifteen_minutes() {
        let sessions = Sessions::default();
        let link = sessions.link(Some(7), NOW).unwrap();
        assert_eq!(sessions.use_link(&link, NOW + LINK_LASTS - Duration::from_secs(1)), Some(By::Link(Some(7))));
        assert_eq!(sessions.use_link(&link, NOW), None, "it is used up");
        let late = sessions.link(None, NOW).unwrap();
        assert_eq!(sessions.use_link(&late, NOW + LINK_LASTS), None);
    }

    #[test]
    fn many_sessions_of_one_key_put_out_no_other() {
        let sessions = Sessions::default();
        let (other, _) = sessions.open(By::Key([1; 32]), NOW).unwrap();
        let at = |second: u64| NOW + Duration::from_secs(second);
        let many: Vec<String> = (0..100).map(|second| sessions.open(By::Key([2; 32]), at(second)).unwrap().0).collect();
        let open = many.iter().filter(|cookie| sessions.find(cookie, NOW).is_some()).count();
        assert_eq!(open, SESSIONS_EACH_MAX);
        assert!(sessions.find(&many[99], NOW).is_some() && sessions.find(&other, NOW).is_some());
    }

    #[test]
    fn sessions_and_links_have_a_bound() {
        let sessions = Sessions::default();
        for number in 0..5_000u32 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_be_bytes());
            sessions.open(By::Key(key), NOW).unwrap();
        }
        assert_eq!(sessions.lock().sessions.len(), SESSIONS_MAX);
        (0..100).for_each(|_| drop(sessions.link(None, NOW).unwrap()));
        assert_eq!(sessions.lock().links.len(), LINKS_MAX);
    }

    #[test]
    fn a_new_secret_is_seen_once_by_its_maker_alone() {
        let sessions = Sessions::default();
        let [(maker, _), (other, _)] = [1, 2].map(|_| sessions.open(By::Dev, NOW).unwrap());
        let unseen = Unseen { webhook: "wh_1".into(), secret: Secret::new("whsec_1"), made: Made::WithWebhook };
        sessions.keep(&maker, unseen);
        assert!(sessions.take_unseen(&other, "wh_1").is_none() && sessions.take_unseen(&maker, "wh_2").is_none());
        assert_eq!(sessions.take_unseen(&maker, "wh_1").unwrap().secret.expose(), "whsec_1");
        assert!(sessions.take_unseen(&maker, "wh_1").is_none(), "it was seen");
    }

    #[test]
    fn a_form_must_carry_the_token_of_its_session() {
        let sessions = Sessions::default();
        let [(_, one), (_, other)] = [1, 2].map(|_| sessions.open(By::Dev, NOW).unwrap());
        assert!(one.sent(&one.csrf) && !one.sent(&other.csrf) && !one.sent(""));
    }
}
