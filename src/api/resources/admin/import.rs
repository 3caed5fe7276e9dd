//! `POST /v1/admin/import`: takes lines of an export, each whole or not at all, and answers what became of each.
//!
//! What is there already and equal is left, so that an import that was broken off is made again from its first line. Settings go the way
//! of the calls that set them, so they are judged and audited as those are; events and deliveries become history, and are sent to
//! nobody.

mod history;
mod webhooks;

use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::export::records;
use super::{providers, tenants};
use crate::api::document;
use crate::api::document::backup::export::{self, Imported, Kind, Status};
use crate::api::request::context::Context;
use crate::api::request::params::Form;
use crate::api::request::whose::Whose;
use crate::api::resources::event_types;
use crate::api::resources::keys::{DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX};
use crate::api::resources::publish_batch::lines;
use crate::api::response::problem::{Problem, STOPPING};
use crate::api::response::reply::Reply;
use crate::domain::access::{Key, KeyHash, Maker, Role, Scopes, Terms};
use crate::domain::id::{has_own_form, is_name};
use crate::domain::resource::Resource;
use crate::store::{Denied, NewKey, NewTenant, Old, Taken};

/// Takes every line; one that is refused stops no other.
pub(crate) async fn import(context: &Context<'_>) -> Result<Reply, Problem> {
    let lines = lines(&context.body)?;
    let room = Reply::room(lines.len() * RESULT_BYTES, &context.rooms()).await?;
    let mut import = Import { context, results: Vec::with_capacity(lines.len()), waiting: Vec::new(), bytes: 0 };
    for line in &lines {
        if context.api.is_stopping() {
            return Err(Problem::Unavailable(STOPPING));
        }
        import.line(line).await?;
    }
    import.take_waiting().await?;
    let mut answer = Vec::new();
    for result in &import.results {
        document::write(result, &mut answer);
        answer.push(b'\n');
    }
    Ok(Reply::ndjson(StatusCode::OK, answer, room))
}

/// The import of one request.
struct Import<'a> {
    context: &'a Context<'a>,
    results: Vec<Imported>,
    /// Parts of the history that go to the store together.
    waiting: Vec<Old>,
    /// The bytes of their lines.
    bytes: usize,
}

/// Why a line is refused, as far as the line itself is to blame.
type Refused<T> = Result<T, Problem>;

impl Import<'_> {
    async fn line(&mut self, line: &Bytes) -> Result<(), Problem> {
        let kind = match read::<Kind>(line) {
            Ok(Kind { kind }) => kind,
            Err(refused) => return self.settle(Err(refused)).await,
        };
        match &*kind {
            "event" => self.history(line, read(line).and_then(history::event)).await,
            "delivery" => self.history(line, read(line).and_then(history::delivery)).await,
            _ => {
                let result = self.settings(&kind, line).await;
                self.settle(result).await
            }
        }
    }

    /// Notes what became of a line, behind those that wait. What the service itself lacks ends the request.
    async fn settle(&mut self, result: Refused<Imported>) -> Result<(), Problem> {
        self.take_waiting().await?;
        match result {
            Ok(imported) => self.results.push(imported),
            Err(problem) if problem.status().is_server_error() => return Err(problem),
            Err(problem) => self.results.push(refused(explained(&problem))),
        }
        Ok(())
    }

    async fn history(&mut self, line: &Bytes, read: Refused<Old>) -> Result<(), Problem> {
        match read {
            Ok(old) => {
                (self.bytes, _) = (self.bytes + line.len(), self.waiting.push(old));
                if self.waiting.len() >= TOGETHER || self.bytes >= TOGETHER_BYTES { self.take_waiting().await } else { Ok(()) }
            }
            Err(problem) => self.settle(Err(problem)).await,
        }
    }

    async fn take_waiting(&mut self) -> Result<(), Problem> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        let parts = std::mem::take(&mut self.waiting);
        let taken = self.context.commands().take_history(parts).await?;
        self.results.extend(taken.into_iter().map(|taken| match taken {
            Taken::Added => done(Status::Added),
            Taken::Left => done(Status::Left),
            Taken::Refused(why) => refused(why.to_string()),
        }));
        Ok(())
    }

    async fn settings(&self, kind: &str, line: &Bytes) -> Refused<Imported> {
        match kind {
            "header" | "end" | "config" => Ok(done(Status::Left)),
            "provider" => self.provider(read(line)?).await,
            "event_type" => self.event_type(read(line)?).await,
            "tenant" => self.tenant(read(line)?).await,
            "key" => self.key(read(line)?).await,
            "webhook" => webhooks::import(self.context, read(line)?).await,
            other => Err(Problem::Wrong(format!(
                "`{}` is no kind of line that this release knows; import the file with the release that wrote it",
                other.chars().take(32).collect::<String>()
            ))),
        }
    }

    async fn provider(&self, line: export::Provider) -> Refused<Imported> {
        let known = self.context.settings.known_provider(&line.name)?;
        let kept = records::provider(&known.name, &self.context.api.store.added(&known.name).settings);
        if kept.as_ref() == Some(&line) {
            return Ok(done(Status::Left));
        }
        let given = [
            ("validate", line.validate.map(serde_json::Value::from)),
            ("unknown_types", line.unknown_types.map(serde_json::Value::from)),
            ("create_tenants", line.create_tenants.map(serde_json::Value::from)),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let body = serde_json::Value::Object(given.collect()).to_string();
        providers::patch(&self.asked(&line.name, body.into())).await?;
        Ok(done(if kept.is_some() { Status::Changed } else { Status::Added }))
    }

    async fn event_type(&self, line: export::EventType) -> Refused<Imported> {
        let known = self.context.settings.known_provider(&line.provider)?.clone();
        let name = known.name.clone();
        let added = self.context.api.store.added(&name).catalogue;
        let kept = added.iter().find(|kept| *kept.name == *line.name).map(|kept| records::event_type(&name, kept));
        if kept.as_ref().is_some_and(|kept| is_same_json(kept.definition.get(), line.definition.get())) {
            return Ok(done(Status::Left));
        }
        let body = Bytes::from(line.definition.get().to_owned());
        let mut asked = self.asked(&line.name, body);
        asked.caller.provider = self.context.api.catalogues.provider(known, &self.context.api.store);
        event_types::put(&asked).await?;
        Ok(done(if kept.is_some() { Status::Changed } else { Status::Added }))
    }

    async fn tenant(&self, line: export::Tenant) -> Refused<Imported> {
        let store = &self.context.api.store;
        let owned = Whose::named(self.context, &line.provider, &line.id).map_err(|problem| match problem {
            Problem::NotFound(Resource::Tenant) => Problem::field("/id", "is not 1 to 64 of A-Za-z0-9_-"),
            other => other,
        })?;
        let kept = store.tenant(owned.clone()).await?;
        let profile = tenants::read(Form::read(line.profile.get().as_bytes(), tenants::MEMBERS)?)?;
        if kept.as_ref().is_some_and(|kept| kept.profile == profile && !kept.has_left_file()) {
            return Ok(done(Status::Left));
        }
        let new = NewTenant { owned, profile, restores: false };
        let described = self.context.commands().describe_tenant(new).await;
        if matches!(described, Err(Denied::TenantRemoved(_))) {
            return Ok(left(OUT_OF_FILE.into()));
        }
        described.map_err(|denied| tenants::of_file(denied, self.context.settings))?;
        Ok(done(if kept.is_some() { Status::Changed } else { Status::Added }))
    }

    async fn key(&self, line: export::Key) -> Refused<Imported> {
        let key = key_of(&line)?;
        if let Some(provider) = key.role.provider() {
            self.context.settings.known_provider(provider)?;
        }
        let kept = self.context.api.store.keys();
        let same = kept.iter().find(|kept| kept.id == key.id || kept.hash == key.hash);
        match same {
            Some(kept) if records::key(kept) == line => Ok(done(Status::Left)),
            Some(kept) => Err(Problem::Conflict(format!("the key {} is there already, and is another one", kept.id))),
            None => {
                let added = self.context.commands().add_key(NewKey { key, by: None, is_imported: true }).await;
                kept_away(added.map(|()| done(Status::Added)))
            }
        }
    }

    /// The request as one that sets a single thing would be.
    fn asked<'s>(&'s self, id: &'s str, body: Bytes) -> Context<'s> {
        let Context { api, settings, call, way, caller, slot, headers, .. } = self.context;
        let (call, way, caller) = (*call, *way, caller.clone());
        Context { api, settings, call, way, caller, slot, id, provider: "", query: None, headers, is_ndjson: false, body }
    }
}

fn key_of(line: &export::Key) -> Refused<Key> {
    let mut hash = KeyHash::default();
    hex::decode_to_slice(&line.sha256, &mut hash).map_err(|_| Problem::field("/sha256", "is not 64 hex digits"))?;
    let scopes = || {
        Scopes::parse(line.scopes.iter().map(String::as_str))
            .ok_or_else(|| Problem::field("/scopes", format!("is not a list of some of {}", Scopes::NAMES.join(", "))))
    };
    if !(has_own_form(&line.id) && line.id.starts_with("key_")) {
        return Err(Problem::field("/id", "is no id of a key: key_ and a ULID"));
    }
    if line.tenant.as_deref().is_some_and(|tenant| !is_name(tenant)) {
        return Err(Problem::field("/tenant", "is not 1 to 64 of A-Za-z0-9_-"));
    }
    if line.name.chars().count() > NAME_CHARS_MAX || line.description.chars().count() > DESCRIPTION_CHARS_MAX {
        return Err(Problem::field("/name", "or the description is longer than a key may have"));
    }
    let role = match (&line.provider, &line.tenant) {
        (None, None) => Role::Operator,
        (None, Some(_)) => return Err(Problem::field("/provider", "is missing, and the key is of a tenant")),
        (Some(provider), None) => Role::Provider { provider: provider.as_str().into(), scopes: scopes()? },
        (Some(provider), Some(tenant)) => {
            Role::Tenant { provider: provider.as_str().into(), tenant: tenant.as_str().into(), scopes: scopes()? }
        }
    };
    let maker = line.made_by.as_deref().map(Box::from);
    let rate_limit = line.rate_limit.as_deref().map(str::parse).transpose();
    Ok(Key {
        id: line.id.as_str().into(),
        name: line.name.as_str().into(),
        role,
        hash,
        created_at: line.created_at.0,
        maker: match maker {
            Some(id) if line.made_by_provider => Maker::Provider(id),
            maker => Maker::Operator(maker),
        },
        terms: Terms {
            description: line.description.as_str().into(),
            expires_at: line.expires_at.map(|at| at.0),
            rate_limit: rate_limit
                .map_err(|wrong: crate::domain::rate::NoRate| Problem::field("/rate_limit", wrong.to_string()))?,
        },
    })
}

/// Reads a line as what it should be. What is wrong is told without any text of the line.
fn read<T: DeserializeOwned>(line: &[u8]) -> Refused<T> {
    serde_json::from_slice(line)
        .map_err(|fault| Problem::Wrong(format!("the line cannot be read: {}", without_texts(&fault.to_string()))))
}

/// A message of the JSON reader without what it quotes of the JSON, which may be a secret.
fn without_texts(message: &str) -> String {
    let quotes = |text: &str| text.find('"').zip(text.rfind('"'));
    // A text of the JSON may have quotes of its own, so all between the first and the last one goes.
    quotes(message)
        .map_or_else(|| message.to_owned(), |(first, last)| format!("{}\"…\"{}", &message[..first], &message[last + 1..]))
}

/// Whether two texts are the same JSON, in whatever order the members of its objects stand.
fn is_same_json(one: &str, other: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    one == other || value(one).is_some_and(|one| Some(one) == value(other))
}

/// What is wrong with a line, each fault with its place.
fn explained(problem: &Problem) -> String {
    let Problem::Fields(wrong) = problem else { return problem.detail() };
    let told: Vec<String> = wrong.iter().take(FAULTS_MAX).map(|wrong| format!("{} {}", wrong.pointer, wrong.detail)).collect();
    told.join("; ")
}

fn done(status: Status) -> Imported {
    Imported { status, detail: None, id: None }
}

/// What stays as it is here.
fn left(detail: String) -> Imported {
    Imported { status: Status::Left, detail: Some(detail), id: None }
}

/// What became of a line that would bring back what was put away here: it is left, and the answer says so.
fn kept_away(result: Result<Imported, Denied>) -> Refused<Imported> {
    match result {
        Err(Denied::Deleted) => Ok(left("it was deleted here, and stays so".into())),
        Err(Denied::KeyWasRevoked(_)) => Ok(left("it was revoked here, and stays so".into())),
        Err(Denied::Removed | Denied::TenantRemoved(_)) => Ok(left(OUT_OF_FILE.into())),
        result => Ok(result?),
    }
}

fn refused(detail: String) -> Imported {
    Imported { status: Status::Refused, detail: Some(detail), id: None }
}

const OUT_OF_FILE: &str = "it, or its tenant or provider, was taken out of the config file here, and stays so";

/// Parts of the history that one commit takes, and the bytes of their lines unless one alone has more.
const TOGETHER: usize = 256;
const TOGETHER_BYTES: usize = 1 << 20;

/// About what the result of a line takes.
const RESULT_BYTES: usize = 64;

/// Faults of one line that are told.
const FAULTS_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_line_is_told_without_its_texts() {
        let line = br#"{"kind":"key","id":7,"sha256":"sesame"}"#;
        let told = read::<export::Key>(line).map(drop).expect_err("a number").detail();
        assert!(told.contains("the line cannot be read"), "{told}");
        let told = read::<export::End>(br#"{"kind":"end","records":"sesame"}"#).map(drop).expect_err("a text").detail();
        assert!(!told.contains("sesame") && told.contains("u64"), "{told}");
        let line = br#"{"kind":"end","records":"a\"sesame\"b"}"#;
        let told = read::<export::End>(line).map(drop).expect_err("a text with quotes").detail();
        assert!(!told.contains("sesame") && told.contains("u64"), "{told}");
    }
}
