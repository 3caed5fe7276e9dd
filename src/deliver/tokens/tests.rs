//! Tokens are asked for once for all who wait, kept until shortly before their end, and had anew when they were refused.

use std::cell::Cell;

use super::asking::Asking;
use super::*;
use crate::deliver::connect::way::Way;
use crate::deliver::connect::{Connector, Options};
use crate::deliver::cut::Cut;
use crate::deliver::exchange::connection::{Bounds, Deadline};
use crate::domain::delivery::outcome::Class;
use crate::domain::webhook::egress::{Auth, ClientCredentials};
use crate::domain::webhook::target::{Guard, Schemes};

fn key(secret: &str) -> TokenKey {
    TokenKey { tenant: TenantNo(1), credentials: credentials(secret), tls: None }
}

fn credentials(secret: &str) -> CredentialsId {
    read("https://a.test/", secret).id()
}

fn read(url: &str, secret: &str) -> ClientCredentials {
    let raw = format!(r#"{{"type":"oauth2","token_url":"{url}","client_id":"i","client_secret":"{secret}"}}"#);
    let part = crate::domain::webhook::settings::Setting::read("auth", &raw).expect("valid");
    let settings = crate::domain::webhook::settings::WebhookSettings::none().with(&[part]);
    match settings.egress.as_ref().and_then(|egress| egress.auth.clone()) {
        Some(Auth::OAuth2(credentials)) => *credentials,
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

/// A server whose first answer stays unfinished. Each other answer has a token.
async fn slow_at_first(listener: tokio::net::TcpListener) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let body = r#"{"access_token":"t","token_type":"Bearer"}"#;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (mut unfinished, _) = listener.accept().await.expect("a connection");
    unfinished.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{").await.expect("sent");
    while let Ok((mut stream, _)) = listener.accept().await {
        let asked = stream.read(&mut [0; 4_096]).await.expect("a request");
        assert!(asked > 0, "the connection was closed without a request");
        stream.write_all(answer.as_bytes()).await.expect("sent");
    }
}

/// Runs `with` an asking at a server on this machine that is [`slow_at_first`].
async fn at_slow_server<T>(with: impl AsyncFnOnce(Asking<'_>) -> T) -> T {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let server = tokio::spawn(slow_at_first(listener));
    let guard = Guard { allow: vec!["127.0.0.0/8".parse().expect("a network")], own: Vec::new() };
    let resolvers = vec!["127.0.0.1:9".parse().expect("an address")];
    let options = Options { guard: guard.clone(), connect_timeout: Duration::from_secs(5), resolvers, ca_file: None };
    let (connector, way) = (Connector::new(options).expect("made"), Way::default());
    let credentials = read(&url, "a");
    let schemes = Schemes { http: true };
    let asking =
        Asking { tenant: TenantNo(1), credentials: &credentials, connector: &connector, way: &way, guard: &guard, schemes };
    let came = with(asking).await;
    server.abort();
    came
}

fn within(millis: u64, cut: &Cut) -> Bounds<'_> {
    let after = Duration::from_millis(millis);
    Bounds { deadline: Deadline { at: clock::steady() + after, after }, capture: 1_024, cut }
}

#[tokio::test]
async fn whose_own_deadline_ends_lets_the_next_ask() {
    let (tokens, cut) = (Tokens::default(), Cut::new());
    let (late, had) = at_slow_server(async |asking| {
        let ask = async |millis| {
            let bounds = within(millis, &cut);
            tokio::time::timeout_at(bounds.deadline.at.into(), tokens.token(asking.key(), None, asking.ask(bounds))).await
        };
        tokio::join!(ask(100), ask(5_000))
    })
    .await;
    assert!(!matches!(late, Ok(Ok(_))), "nothing came in its time");
    assert_eq!(had.expect("in time").expect("a token").value.expose(), "t");
}

#[tokio::test]
async fn a_stop_while_a_token_is_asked_for_is_no_failure() {
    let cut = Cut::new();
    cut.make();
    let patience = Duration::from_millis(200);
    let came = at_slow_server(async |asking| tokio::time::timeout(patience, asking.ask(within(5_000, &cut))).await).await;
    assert!(came.is_err(), "{came:?}");
}

#[tokio::test]
async fn a_token_that_nobody_uses_for_ten_minutes_is_forgotten() {
    let (tokens, server) = (Tokens::default(), Server::new(HOUR));
    had(&tokens, key("a"), None, &server).await;
    let used = clock::steady();
    tokens.tidy(used + UNUSED_MAX - Duration::from_secs(9));
    assert_eq!(tokens.all().len(), 1);
    tokens.tidy(used + UNUSED_MAX);
    assert_eq!(tokens.all().len(), 0, "although it is good for an hour");
}

#[tokio::test]
async fn of_too_many_tokens_the_least_recently_used_is_forgotten() {
    let (tokens, server) = (Tokens::default(), Server::new(HOUR));
    let one = key("a");
    let of = |tenant: usize| TokenKey { tenant: TenantNo(u32::try_from(tenant).expect("few")), ..one };
    let keys: Vec<_> = (0..=SLOTS_MAX).map(of).collect();
    for key in &keys[..SLOTS_MAX] {
        had(&tokens, *key, None, &server).await;
    }
    had(&tokens, keys[0], None, &server).await;
    had(&tokens, keys[SLOTS_MAX], None, &server).await;
    let is_kept = |at: usize| tokens.all().contains_key(&keys[at]);
    assert_eq!([0, 1, 2, SLOTS_MAX].map(is_kept), [true, false, true, true]);
    assert_eq!(tokens.all().len(), SLOTS_MAX);
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
