//! A browser without JavaScript: it keeps the cookie of its session, and sends forms as a browser does.

use bytes::Bytes;
use http::Method;

use crate::harness::client::{Address, Answer, Client};
use crate::harness::config;
use crate::harness::service::Service;

/// A browser with at most one session.
#[derive(Clone, Debug)]
pub(super) struct Browser {
    pub(super) address: Address,
    /// The session's cookie, as it is sent.
    pub(super) cookie: Option<String>,
}

impl Browser {
    pub(super) fn new(service: &Service) -> Self {
        Self { address: Address::Tcp(service.address()), cookie: None }
    }

    /// A browser in which somebody signed in with a key of the config.
    pub(super) async fn signed_in(service: &Service, key: &str) -> Self {
        Self::signed_in_with(service, &config::secret(key)).await
    }

    pub(super) async fn signed_in_with(service: &Service, secret: &str) -> Self {
        let mut browser = Self::new(service);
        let answer = browser.sign_in(secret).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        browser
    }

    /// Sends the form to sign in, and keeps the cookie of the answer.
    pub(super) async fn sign_in(&mut self, secret: &str) -> Answer {
        let answer = self.send_form("/ui/login", &[("key", secret), ("to", "/ui/")], &[OWN]).await;
        self.keep(&answer);
        answer
    }

    /// Keeps the session that an answer sets.
    pub(super) fn keep(&mut self, answer: &Answer) {
        let set = answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        let session = set.filter_map(|cookie| cookie.split(';').next()).find(|cookie| cookie.starts_with("hookwheel="));
        self.cookie = session.map(str::to_owned).or_else(|| self.cookie.clone());
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.client(&[]).send(Method::GET, path, FORM, Bytes::new()).await
    }

    /// The text of a page that must be shown.
    #[track_caller]
    pub(super) fn page(&self, path: &str) -> impl Future<Output = String> {
        let (browser, path) = (self.clone(), path.to_owned());
        async move {
            let answer = browser.get(&path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            answer.text()
        }
    }

    /// Sends a form of a page of this session.
    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf().await;
        self.send_form(path, &[fields, &[("csrf", &*csrf)]].concat(), &[OWN]).await
    }

    /// Sends a form with these headers besides.
    pub(super) async fn send_form(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.client(headers).send(Method::POST, path, FORM, body.into()).await
    }

    /// The token of the forms of this session.
    pub(super) async fn csrf(&self) -> String {
        let page = self.page("/ui/deliveries").await;
        let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        token.expect("each page has a form").to_owned()
    }

    pub(super) fn client(&self, headers: &[(&str, &str)]) -> Client {
        let cookie = self.cookie.iter().map(|cookie| ("cookie", cookie.as_str()));
        let given = headers.iter().copied().chain(cookie);
        given.fold(Client::of_another(self.address.clone()), |client, (name, value)| client.with_header(name, value))
    }
}

/// The path that an answer leads to.
pub(super) fn location(answer: &Answer) -> &str {
    answer.headers.get("location").and_then(|to| to.to_str().ok()).unwrap_or_default()
}

/// The origin of our own pages, as the harness calls the service.
pub(super) const OWN: (&str, &str) = ("origin", "http://127.0.0.1");

const FORM: &str = "application/x-www-form-urlencoded";
