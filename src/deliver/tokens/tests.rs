//! Tokens are asked for once for all who wait, kept until shortly before their end, and had anew when they were refused.

use std::cell::Cell;

use super::*;
use crate::deliver::connect::way::Way;
use crate::domain::delivery::outcome::Class;
use crate::domain::webhook::egress::Auth;

fn key(secret: &str) -> TokenKey {
    TokenKey { tenant: TenantNo(1), credentials: credentials(secret), tls: None }
}

fn credentials(secret: &str) -> CredentialsId {
    let raw = format!(r#"{{"type":"oauth2","token_url":"https://a.test/","client_id":"i","client_secret":"{secret}"}}"#);
    let part = crate::domain::webhook::settings::Setting::read("auth", &raw).expect("valid");
    let settings = crate::domain::webhook::settings::WebhookSettings::none().with(&[part]);
    match settings.egress.as_ref().and_then(|egress| egress.auth.clone()) {
        Some(Auth::OAuth2(credentials)) => credentials.id(),
        other => panic!("{other:?}"),
    }
}

/// A server that gives numbered tokens, each after a moment.
struct Server {
    asked: Cell<u32>,
    lasts: Duration,
    is_down: Cell<bool>,
}

impl Server {
    fn new(lasts: Duration) -> Self {
        Self { asked: Cell::new(0), lasts, is_down: Cell::new(false) }
    }

    async fn ask(&self) -> Result<Granted, Unconnected> {
        self.asked.set(self.asked.get() + 1);
        tokio::task::yield_now().await;
        match self.is_down.get() {
            true => Err(Failure::new(Class::Auth, "down").into()),
            false => Ok(Granted { token: Secret::new(format!("t{}", self.asked.get())), lasts: self.lasts }),
        }
    }
}

async fn had(tokens: &Tokens, key: TokenKey, refused: Option<&Token>, server: &Server) -> Token {
    tokens.token(key, refused, server.ask()).await.expect("a token")
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_token_is_asked_for_once_by_all_who_want_it() {
    let (tokens, server) = (Tokens::default(), Server::new(HOUR));
    let (one, two, three) = tokio::join!(
        had(&tokens, key("a"), None, &server),
        had(&tokens, key("a"), None, &server),
        had(&tokens, key("a"), None, &server)
    );
    assert_eq!([one, two, three].map(|token| token.value.expose().to_owned()), ["t1", "t1", "t1"]);
    assert_eq!(had(&tokens, key("a"), None, &server).await.value.expose(), "t1");
    assert_eq!(had(&tokens, key("b"), None, &server).await.value.expose(), "t2", "of other credentials");
}

/// The TLS of a webhook that trusts an authority of its own.
fn tls() -> TlsId {
    let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).expect("made");
    let ca = serde_json::json!({ "ca": made.cert.pem() }).to_string();
    let part = crate::domain::webhook::settings::Setting::read("tls", &ca).expect("valid");
    let settings = crate::domain::webhook::settings::WebhookSettings::none().with(&[part]);
    Way::new(settings.egress.as_deref(), None).tls_id().expect("its own")
}

#[tokio::test]
async fn a_token_is_shared_neither_across_tenants_nor_across_tls() {
    let (tokens, server) = (Tokens::default(), Server::new(HOUR));
    let (certified, other) = (TokenKey { tls: Some(tls()), ..key("a") }, TokenKey { tls: Some(tls()), ..key("a") });
    let neighbour = TokenKey { tenant: TenantNo(2), ..key("a") };
    for (key, value) in [(certified, "t1"), (key("a"), "t2"), (other, "t3"), (neighbour, "t4"), (certified, "t1")] {
        assert_eq!(had(&tokens, key, None, &server).await.value.expose(), value, "{key:?}");
    }
}

#[tokio::test]
async fn a_token_is_kept_until_30_seconds_before_its_end() {
    for (lasts, kept) in [(HOUR, "t1"), (Duration::from_secs(31), "t1"), (Duration::from_secs(30), "t2"), (Duration::ZERO, "t2")]
    {
        let (tokens, server) = (Tokens::default(), Server::new(lasts));
        had(&tokens, key("a"), None, &server).await;
        assert_eq!(had(&tokens, key("a"), None, &server).await.value.expose(), kept, "{lasts:?}");
    }
}

#[tokio::test]
async fn a_token_that_soon_ends_is_shared_by_those_who_waited_for_it() {
    let (tokens, server) = (Tokens::default(), Server::new(Duration::ZERO));
    let (one, two) = tokio::join!(had(&tokens, key("a"), None, &server), had(&tokens, key("a"), None, &server));
    assert_eq!([one, two].map(|token| token.value.expose().to_owned()), ["t1", "t1"]);
}

#[tokio::test]
async fn a_refused_token_is_had_anew_once_for_all_whom_it_failed() {
    let (tokens, server) = (Tokens::default(), Server::new(HOUR));
    let refused = had(&tokens, key("a"), None, &server).await;
    let new = had(&tokens, key("a"), Some(&refused), &server).await;
    let again = had(&tokens, key("a"), Some(&refused), &server).await;
    assert_eq!([new, again].map(|token| token.value.expose().to_owned()), ["t2", "t2"]);
    assert_eq!(had(&tokens, key("a"), None, &server).await.value.expose(), "t2");
}

#[tokio::test]
async fn who_waited_for_a_failure_fails_too_and_the_next_asks_again() {
    let (tokens, server) = (Tokens::default(), Server::new(HOUR));
    server.is_down.set(true);
    let ask = || tokens.token(key("a"), None, server.ask());
    let (one, two) = tokio::join!(ask(), ask());
    for failed in [one, two] {
        assert!(matches!(failed, Err(Unconnected::Failed(Failure { class: Class::Auth, .. }))), "{failed:?}");
    }
    assert_eq!(server.asked.get(), 1);
    server.is_down.set(false);
    assert_eq!(had(&tokens, key("a"), None, &server).await.value.expose(), "t2");
}

#[tokio::test]
async fn who_gives_up_lets_the_next_ask() {
    let (tokens, server) = (Tokens::default(), Server::new(HOUR));
    let never = tokens.token(key("a"), None, std::future::pending());
    let given_up = tokio::time::timeout(Duration::from_millis(5), never).await;
    assert!(given_up.is_err());
    assert_eq!(had(&tokens, key("a"), None, &server).await.value.expose(), "t1");
}

#[tokio::test]
async fn old_tokens_are_forgotten() {
    let (tokens, server) = (Tokens::default(), Server::new(HOUR));
    had(&tokens, key("a"), None, &server).await;
    tokens.tidy(clock::steady());
    assert_eq!(tokens.all().len(), 1);
    tokens.tidy(clock::steady() + HOUR);
    assert_eq!(tokens.all().len(), 0);
    assert!(!format!("{:?}", had(&tokens, key("a"), None, &server).await).contains("t2"));
}
