//! `POST /v1/events`: takes one event in. The way every event comes, so nothing here builds a tree or copies the data.

pub(in crate::api) mod again;
#[cfg(test)]
mod tests;
pub(super) mod validation;

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use super::near::{Judge, Near};
use crate::api::document::event as document;
use crate::api::request::auth::{Caller, Rank};
use crate::api::request::context::Context;
use crate::api::request::params::{Form, WRONG_MAX};
use crate::api::request::rate::limits::RateLimits;
use crate::api::request::target::{TARGET, Target};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::response::wrong::{Wrong, escaped};
use crate::domain::channels::{Channels, OF_EVENT_MAX};
use crate::domain::dialect::Dialect;
use crate::domain::event::{ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, Attributes, check_idempotency_key};
use crate::domain::id::uid::Uid;
use crate::domain::id::{has_own_form, is_name};
use crate::domain::json::{self, Field, Kind};
use crate::domain::refusal::Refusal;
use crate::domain::template::Facts;
use crate::domain::time::Timestamp;
use crate::domain::webhook::pattern::check_type_name;
use crate::store::{Accepted, Publication};

/// Publishes what the body says, and answers when it is on disk.
pub(crate) async fn publish(context: &Context<'_>) -> Result<Reply, Problem> {
    let idempotency_key = idempotency_key(context.headers)?;
    let limits = &context.api.rate_limits;
    let reader = Reader { caller: &context.caller, idempotency_key, now: context.api.store.now(), limits };
    let mut publication = reader.read(&context.body)?;
    validation::judge(&context.caller.provider, &mut publication).await?;
    let mut judge = Judge::new(&context.caller.provider, &context.api.store);
    let near = judge.known(&publication.kind);
    let schema_errors = told_errors(&publication);
    let mut accepted = context.api.store.accept_one(publication).await.map_err(|refusal| context.refused(refusal))?;
    let near = judge.or_near(near, &mut accepted);
    let published = Published { accepted, near, schema_errors };
    Ok(Reply::document(published.status(), &published.document()))
}

/// What the answer says was wrong with the data. The first answer to an event, which is given again, said nothing of a newer schema.
pub(crate) fn told_errors(publication: &Publication) -> Box<str> {
    if publication.is_refused { Box::default() } else { publication.schema_errors.clone() }
}

/// An event on disk, and what is told beside that.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) accepted: Accepted,
    pub(crate) near: Option<Near>,
    /// What was wrong with the data, as it is kept with the event.
    pub(crate) schema_errors: Box<str>,
}

impl Published {
    /// 202, or 200 for what was published before.
    pub(crate) fn status(&self) -> StatusCode {
        if self.accepted.repeated { StatusCode::OK } else { StatusCode::ACCEPTED }
    }

    pub(crate) fn document(&self) -> document::Accepted<'_> {
        let warnings = self.near.iter().map(ToString::to_string).collect();
        let schema_errors = serde_json::from_str(&self.schema_errors).unwrap_or_default();
        document::Accepted { warnings, schema_errors, ..self.briefly() }
    }

    /// Without the warnings.
    pub(crate) fn briefly(&self) -> document::Accepted<'_> {
        let Accepted { id, deliveries, .. } = &self.accepted;
        document::Accepted { id: (&**id).into(), deliveries: *deliveries, warnings: Vec::new(), schema_errors: Vec::new() }
    }
}

/// Reads published events of one caller.
pub(crate) struct Reader<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) idempotency_key: Option<&'a str>,
    pub(crate) now: Timestamp,
    pub(crate) limits: &'a RateLimits,
}

impl Reader<'_> {
    /// Everything that can be judged without the store, with all that is wrong at once.
    pub(crate) fn read(&self, body: &Bytes) -> Result<Publication, Problem> {
        self.limits.take_of_key(self.caller.key.as_deref())?;
        let mut form = Form::read(body, MEMBERS)?;
        let tenant = self.tenant(&mut form)?;
        let kind = kind(&mut form);
        let (id, uid) = (id(&mut form), uid(&mut form));
        let occurred_at = form.time("occurred_at");
        let attributes = attributes(&mut form);
        let connection = connection(&mut form, self.dialect());
        let channels = channels(&mut form);
        let data = form.member("data").map(|field| field.raw);
        if data.is_none() {
            form.note("data", "is missing; null is a value too");
        }
        form.finish()?;
        let draft = Draft {
            tenant,
            kind: kind.unwrap_or_default(),
            id,
            uid,
            occurred_at,
            attributes,
            connection,
            channels,
            data: data.unwrap_or_default(),
        };
        self.judge(draft, body)
    }

    fn dialect(&self) -> &Dialect {
        &self.caller.provider.dialect
    }

    /// Whom the event is for; `None`: every tenant of the provider.
    fn tenant(&self, form: &mut Form<'_>) -> Result<Option<Box<str>>, Problem> {
        let given = form.text("tenant");
        match (&self.caller.target, given) {
            (Target::Tenant(own), None) => Ok(Some(own.clone())),
            (Target::Tenant(own), Some(given)) if **own == *self.caller.provider.tenant_called(&given) => Ok(Some(own.clone())),
            (Target::Tenant(_), Some(_)) => Err(self.not_its_tenant()),
            (Target::All, None) => Ok(None),
            (Target::All | Target::Unnamed, Some(given)) if given == "*" => Ok(None),
            (Target::All | Target::Unnamed, Some(given)) => {
                let id = self.caller.provider.tenant_called(&given);
                if !is_name(id) {
                    form.note("tenant", format!("is neither `*`, nor the uid of a tenant, nor an id: {NAME}"));
                }
                Ok(Some(id.into()))
            }
            (Target::Unnamed, None) => {
                form.note("tenant", self.missing_tenant());
                Ok(None)
            }
        }
    }

    fn not_its_tenant(&self) -> Problem {
        Problem::Forbidden(match self.caller.rank {
            Rank::Tenant(_) => "this key publishes for its own tenant alone".into(),
            Rank::Operator | Rank::Provider(_) => format!("the event's tenant is not the one of the {TARGET} header"),
        })
    }

    fn missing_tenant(&self) -> String {
        let provider = &self.caller.provider.name;
        format!("is missing; a provider's key names the tenant, here or as {TARGET}: {provider}/TENANT, or `*` for all of them")
    }

    /// What the dialect says of an event whose members are well formed.
    fn judge(&self, draft: Draft<'_>, body: &Bytes) -> Result<Publication, Problem> {
        let (provider, dialect) = (&self.caller.provider, self.dialect());
        let content = self.content(&draft);
        let environment = provider.environment(draft.tenant.as_deref());
        let printed = dialect.body.data(draft.data.as_bytes()).map_err(|refusal| refused([refusal.inside("data")]))?;
        let attributes = dialect.body.attributes(draft.attributes).map_err(|refusal| refused([refusal.inside("attributes")]))?;
        let refusals = dialect.check(&Facts {
            event_id: draft.id.as_deref().unwrap_or(ANY_ID),
            kind: &draft.kind,
            time: draft.occurred_at.unwrap_or(self.now),
            version: &dialect.version(&draft.kind, &attributes),
            attributes: &attributes,
            tenant: draft.tenant.as_deref(),
            environment: &environment,
            data: &printed,
        });
        if !refusals.is_empty() {
            return Err(refused(refusals));
        }
        self.count(draft.tenant.as_deref())?;
        let data = match printed {
            Cow::Borrowed(data) => body.slice_ref(data),
            Cow::Owned(data) => data.into(),
        };
        Ok(Publication {
            provider: provider.name.clone(),
            dialect: provider.dialect.clone(),
            link: dialect.link(&attributes).map(Into::into),
            tenant: draft.tenant,
            makes_tenant: self.caller.makes_tenant(),
            environment,
            id: draft.id,
            uid: draft.uid,
            kind: draft.kind.into(),
            data,
            occurred_at: draft.occurred_at,
            attributes,
            connection: draft.connection,
            channels: draft.channels,
            idempotency_key: self.idempotency_key.map(Into::into),
            content,
            test: false,
            schema_errors: Box::default(),
            is_refused: false,
            by: self.caller.key.clone(),
        })
    }

    /// Counts an event that can be read against the rate of its tenant, if that has one. It counts also where the schema of its
    /// type refuses it afterwards, since checking it is work too.
    fn count(&self, tenant: Option<&str>) -> Result<(), Problem> {
        let provider = &self.caller.provider;
        match tenant.and_then(|tenant| Some((tenant, provider.rate_limit(tenant)?))) {
            Some((tenant, rate)) => self.limits.take_of_tenant(&provider.name, tenant, rate),
            None => Ok(()),
        }
    }

    /// What makes two publications the same; nothing where nobody will compare.
    fn content(&self, draft: &Draft<'_>) -> [u8; 32] {
        if draft.id.is_none() && draft.uid.is_none() && self.idempotency_key.is_none() {
            return [0; 32];
        }
        let mut hash = Sha256::new();
        let mut put = |part: Option<&[u8]>| {
            // Each part behind its length, so that no two lists of parts read the same; absent is not empty.
            hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
            hash.update(part.unwrap_or_default());
        };
        put(Some(draft.kind.as_bytes()));
        put(draft.tenant.as_deref().map(str::as_bytes));
        put(draft.occurred_at.map(|time| time.as_micros().to_be_bytes()).as_ref().map(<[u8; 8]>::as_slice));
        put(draft.connection.as_deref().map(str::as_bytes));
        put(Some(draft.data.as_bytes()));
        for (name, raw) in &draft.attributes {
            put(Some(name.as_bytes()));
            put(Some(raw.as_bytes()));
        }
        // Behind all the rest, so that an event without channels has the hash that it had before there were any.
        if !draft.channels.is_empty() {
            put(None);
            draft.channels.iter().for_each(|channel| put(Some(channel.as_bytes())));
        }
        // Two absent parts, which channels never begin with.
        if let Some(uid) = &draft.uid {
            [None, None, Some(uid.as_str().as_bytes())].into_iter().for_each(&mut put);
        }
        hash.finalize().into()
    }
}

/// An event whose members are well formed.
struct Draft<'a> {
    tenant: Option<Box<str>>,
    kind: Cow<'a, str>,
    id: Option<Box<str>>,
    uid: Option<Uid>,
    occurred_at: Option<Timestamp>,
    attributes: Attributes,
    connection: Option<Box<str>>,
    channels: Channels,
    data: &'a str,
}

/// The `Idempotency-Key` of a request, if it has one.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    check_idempotency_key(key).map(|()| Some(key)).map_err(|reason| Problem::Wrong(reason.into()))
}

/// Takes the event type. `None`: it is missing, and that is noted.
pub(in crate::api) fn kind<'a>(form: &mut Form<'a>) -> Option<Cow<'a, str>> {
    let kind = form.required_text("type")?;
    if let Err(reason) = check_type_name(&kind) {
        form.note("type", reason);
    }
    Some(kind)
}

fn id(form: &mut Form<'_>) -> Option<Box<str>> {
    let id = form.text("id")?;
    if !is_name(&id) {
        form.note("id", format!("is not {NAME}"));
    } else if has_own_form(&id) {
        form.note("id", "has the form of an id that hookwheel makes; leave it out, or take one of your own, like order-4711");
    }
    Some(id.into())
}

fn uid(form: &mut Form<'_>) -> Option<Uid> {
    let uid = form.text("uid")?;
    Uid::parse(&uid).map_err(|reason| form.note("uid", reason)).ok()
}

fn connection(form: &mut Form<'_>, dialect: &Dialect) -> Option<Box<str>> {
    let connection = form.text("connection")?;
    if !dialect.delivery.pin_url {
        form.note("connection", format!("is not known to the dialect {}, whose webhooks keep no URL for one", dialect.name));
    } else if !is_name(&connection) {
        form.note("connection", format!("is not {NAME}"));
    }
    Some(connection.into())
}

/// The channels that the event is for; none where it names none.
fn channels(form: &mut Form<'_>) -> Channels {
    let Some(raw) = form.member("channels").map(|field| field.raw) else { return Channels::default() };
    Channels::read(raw, OF_EVENT_MAX).unwrap_or_else(|refusals| {
        refusals.into_iter().for_each(|refusal| form.note_at(Wrong::inside("channels", refusal)));
        Channels::default()
    })
}

/// Attributes are JSON scalars, kept as they were written.
pub(in crate::api) fn attributes(form: &mut Form<'_>) -> Attributes {
    let given = form.member("attributes").filter(|field| field.kind != Kind::Null);
    let fields = given.map(|field| json::fields(field.raw.as_bytes()));
    match fields {
        None => Attributes::new(),
        Some(Ok(fields)) => scalars(fields, form),
        Some(Err(_)) => {
            form.note("attributes", "is not an object");
            Attributes::new()
        }
    }
}

fn scalars(fields: Vec<Field<'_>>, form: &mut Form<'_>) -> Attributes {
    let mut attributes = Attributes::new();
    if let Err(reason) = check_size(&fields) {
        form.note("attributes", reason);
        return attributes;
    }
    for field in fields {
        let pointer = || format!("/attributes/{}", escaped(&field.name));
        if !field.kind.is_scalar() {
            form.note_at(Wrong::new(pointer(), "is not a string, a number, true, false or null"));
        }
        if attributes.contains_key(&*field.name) {
            form.note_at(Wrong::new(pointer(), "is given twice"));
        }
        attributes.insert(field.name.into_owned(), field.raw.into());
    }
    attributes
}

/// Attributes choose and describe; what is long belongs into the data.
fn check_size(fields: &[Field<'_>]) -> Result<(), String> {
    let bytes: usize = fields.iter().map(|field| field.name.len() + field.raw.len()).sum();
    match fields.len() {
        count if count > ATTRIBUTES_MAX => Err(format!("has {count} members; at most {ATTRIBUTES_MAX} are taken")),
        _ if bytes > ATTRIBUTES_BYTES_MAX => Err(format!(
            "has {bytes} bytes of names and values; at most {} KiB are taken, put what is long into `data`",
            ATTRIBUTES_BYTES_MAX / 1024
        )),
        _ => Ok(()),
    }
}

fn refused(refusals: impl IntoIterator<Item = Refusal>) -> Problem {
    let told = refusals.into_iter().take(WRONG_MAX);
    Problem::Fields(told.map(|refusal| Wrong::new(refusal.pointer, refusal.reason)).collect())
}

/// The members of a published event.
const MEMBERS: &[&str] = &["type", "data", "id", "uid", "occurred_at", "attributes", "connection", "channels", "tenant"];

/// Stands for the id that the store will give, which any header can hold.
const ANY_ID: &str = "evt_00000000000000000000000000";

const IDEMPOTENCY_KEY: &str = "idempotency-key";

const NAME: &str = "1 to 64 of A-Za-z0-9_-";
