//! What each call takes and answers. A new call gets an arm here, and an example in `examples.json`.

use serde_json::{Value, json};

use super::answers::{EventFeed, ExplainedPage, OpenApi, Page, RotatedWebhook, Tests, Webhook, WholeEvent};
use super::bodies::{
    BackupPath, EventReplay, EventTypeDefinition, ExportLine, FilterTest, NewConnection, NewEvent, NewKey, NewReplay, NewWebhook,
    Nothing, OpenApiDocument, ProviderChanges, Purge, Recovery, Rotation, TenantProfile, WebhookChanges, WebhookTest,
    WebhooksTest,
};
use super::operation::{Operation, Tag, operation};
use crate::api::document::audit;
use crate::api::document::backup::Backups;
use crate::api::document::delivery::replay::{Replay, ReplayCount};
use crate::api::document::delivery::{AttemptRow, Row, Whole};
use crate::api::document::event::Accepted;
use crate::api::document::event_type::{EventType, Imported};
use crate::api::document::key;
use crate::api::document::session::Connection;
use crate::api::document::stats::{OfWebhook, Part};
use crate::api::document::status::{ClockAccepted, Health, Reloaded, Status, Tables};
use crate::api::document::tenant::{Provider, Tenant};
use crate::api::document::webhook::{self, FilterTested, Purging, Recovered, WebhookSecret};
use crate::api::request::route::Call;
use crate::domain::delivery::outcome::Class;

/// The description of a call. `None`: it has none yet.
pub(super) fn described(call: Call) -> Option<Operation> {
    of_events(call)
        .or_else(|| of_webhooks(call))
        .or_else(|| of_deliveries(call))
        .or_else(|| of_admin(call))
        .or_else(|| other(call))
}

fn of_events(call: Call) -> Option<Operation> {
    let of = |id, summary| operation(id, Tag::Events, summary);
    Some(match call {
        Call::Publish => of("publishEvent", "Publish an event, or many")
            .more(
                "The answer comes when the event is on disk. With `Content-Type: application/x-ndjson` each line is an event, at most \
                 10,000 lines and 16 MiB; the answer has one result a line, in order, and a bad line stops no other.",
            )
            .header(
                "Idempotency-Key",
                "Makes a repeated publication answer as the first one, for 24 h, without naming the event. Not with NDJSON.",
                json!({"type": "string", "pattern": "^[!-~]{1,255}$"}),
            )
            .body::<NewEvent>()
            .body_as(NDJSON, json!({"type": "string", "description": "One event a line."}))
            .answer::<Accepted<'_>>(202, "It is on disk.")
            .or_text(202, NDJSON)
            .answer::<Accepted<'_>>(200, "It was published before, with the same content: the first answer again.")
            .refuses(&[404, 409, 507]),
        Call::ListEvents => of("listEvents", "List events, oldest first")
            .more("A feed that a subscriber can poll instead of receiving. `cursor` in the answer is where it goes on.")
            .paged()
            .query("wait", "How long to wait for an event where there is none yet, at most `60s`.", duration())
            .answer::<EventFeed>(200, "A page of events."),
        Call::ShowEvent => of("getEvent", "Show an event").answer::<WholeEvent>(200, "The event."),
        Call::ReplayEvent => of("replayEvent", "Publish an event again, perhaps with other data")
            .more(
                "A new event with an id of its own, with the type, attributes, channels and `occurred_at` of the old one; `replay_of` and \
                 `replays` link both. Without `webhook` those get it that match now; a webhook that is named gets it whatever it \
                 subscribes to.",
            )
            .body_or_none::<EventReplay>()
            .answer::<Accepted<'_>>(202, "It is on disk.")
            .refuses(&[409, 507]),
        Call::ExplainEvent => of("explainEvent", "Tell why each webhook got an event, or did not")
            .more("Computed by the webhooks as they are now; `changed_since` marks those that were changed after the event.")
            .paged()
            .answer::<ExplainedPage>(200, "Each webhook of the tenant, oldest first."),
        _ => return None,
    })
}

fn of_webhooks(call: Call) -> Option<Operation> {
    let of = |id, summary| operation(id, Tag::Webhooks, summary);
    let change = |id, summary| of(id, summary).refuses(&[409, 507]);
    Some(match call {
        Call::CreateWebhook => change("createWebhook", "Subscribe an endpoint")
            .more("At most 60 a minute with one key and all keys that were made with it. The answer is the one that shows the secret.")
            .expands()
            .body::<NewWebhook>()
            .answer::<Webhook>(201, "The webhook, with its secret."),
        Call::ListWebhooks => of("listWebhooks", "List the tenant's webhooks, oldest first")
            .paged()
            .expands()
            .query("name", "Those of this name.", json!({"type": "string"}))
            .query("uid", "The one of this uid.", id())
            .query("metadata", METADATA, metadata())
            .answer::<Page<Webhook>>(200, "A page of webhooks."),
        Call::ShowWebhook => of("getWebhook", "Show a webhook").expands().answer::<Webhook>(200, "The webhook."),
        Call::PutWebhook => change("replaceWebhook", "Set all of a webhook but its secret")
            .expands()
            .body::<NewWebhook>()
            .answer::<Webhook>(200, "The webhook as it is now."),
        Call::PatchWebhook => change("updateWebhook", "Change a webhook")
            .expands()
            .body::<WebhookChanges>()
            .answer::<Webhook>(200, "The webhook as it is now."),
        Call::DeleteWebhook => {
            change("deleteWebhook", "Delete a webhook").more("What waits for it ends as failed.").empty(204, "It is deleted.")
        }
        Call::EnableWebhook => change("enableWebhook", "Deliver again, what was held first")
            .expands()
            .body_or_none::<Nothing>()
            .answer::<Webhook>(200, "The webhook as it is now."),
        Call::DisableWebhook => change("disableWebhook", "Hold what is published from now on")
            .expands()
            .body_or_none::<Nothing>()
            .answer::<Webhook>(200, "The webhook as it is now."),
        Call::RotateSecret => change("rotateSecret", "Give a webhook a new secret")
            .expands()
            .body_or_none::<Rotation>()
            .answer::<RotatedWebhook>(200, "The webhook, with its new secret."),
        Call::ShowSecret => of("getSecret", "Show the secret that signs now").answer::<WebhookSecret>(200, "The secret."),
        Call::TestWebhook => change("testWebhook", "Send a test and wait for its result")
            .more("One attempt, marked `test`, also to a webhook that is disabled.")
            .body_or_none::<WebhookTest>()
            .answer::<Whole>(200, "The delivery with its attempt."),
        Call::TestWebhooks => change("testWebhooks", "Test one webhook, or all of them")
            .body_or_none::<WebhooksTest>()
            .answer::<Tests>(200, "The deliveries with their attempts.")
            .or_form::<Whole>(200),
        Call::RecoverWebhook => change("recoverWebhook", "Send again what failed or was missed")
            .body::<Recovery>()
            .answer::<Recovered>(202, "How many deliveries were brought back."),
        Call::PurgeWebhook => change("purgeWebhook", "End what waits for a webhook")
            .more("Deliveries end as failed, for the reason `cancelled`, one after the other.")
            .body::<Purge>()
            .answer::<Purging>(202, "What ends from now on."),
        Call::TestFilter => of("testFilter", "Tell whether a filter lets an event through")
            .body::<FilterTest>()
            .answer::<FilterTested>(200, "Whether it matches, and which part of the filter does not."),
        Call::ListWebhookDeliveries => {
            filtered(of("listWebhookDeliveries", "List a webhook's deliveries, newest first")).answer::<Page<Row>>(200, DELIVERIES)
        }
        Call::WebhookStats => of("getWebhookStatistics", "Show how a webhook's deliveries ended")
            .query("window", "Which time counts, in whole hours: from `1s` to `90d`.", with_default(duration(), "24h"))
            .answer::<OfWebhook>(200, "Counts and response times."),
        _ => return None,
    })
}

fn of_deliveries(call: Call) -> Option<Operation> {
    let of = |id, summary| operation(id, Tag::Deliveries, summary);
    Some(match call {
        Call::ListDeliveries => {
            filtered(of("listDeliveries", "List the tenant's deliveries, newest first")).answer::<Page<Row>>(200, DELIVERIES)
        }
        Call::StreamDeliveries => by_delivery(of("streamDeliveries", "Follow deliveries and attempts as they happen"))
            .more(STREAM)
            .query("webhook", "Those to this webhook.", id())
            .header(
                "Last-Event-ID",
                "Goes on behind this `id`, without a gap as long as the log has it.",
                json!({"type": "string"}),
            )
            .text(200, "Events, until the caller or the service ends it.", &["text/event-stream"]),
        Call::ShowDelivery => of("getDelivery", "Show a delivery with every attempt")
            .answer::<Whole>(200, "The delivery, with requests and responses."),
        Call::RetryDelivery => of("retryDelivery", "Send a delivery again")
            .answer::<Row>(200, "The delivery, which is pending.")
            .refuses(&[409, 507]),
        Call::CancelDelivery => {
            of("cancelDelivery", "End a delivery that waits").empty(204, "It has ended as failed.").refuses(&[409, 507])
        }
        Call::ListAttempts => attempts(of("listAttempts", "List the tenant's attempts, newest first"))
            .answer::<Page<AttemptRow>>(200, "A page of attempts."),
        Call::ShowAttempt => of("getAttempt", "Show an attempt").answer::<AttemptRow>(200, "The attempt."),
        Call::BeginReplay => of("beginReplay", "Send many deliveries again")
            .more(
                "Deliveries that have ended by now are sent again with their ids and stored bytes, the oldest event first. The replay goes \
                 on in the background, over restarts too, and takes at most half of a webhook's slots, or its only one. A webhook that \
                 takes no more for a time holds no other up. What a person cancelled or purged is left out. An `until` in the future \
                 counts as now. A tenant has at most 10 that have not ended, and counts for one at a time. With `new_id` one new event \
                 is made of each old event instead, with the same data; what is counted are its deliveries, and a slow webhook holds \
                 the others up.",
            )
            .body::<NewReplay>()
            .answer::<Replay>(202, "The replay, which runs.")
            .answer::<ReplayCount>(200, "With `dry_run`: how many deliveries match.")
            .refuses(&[409, 507]),
        Call::ListReplays => replays(of("listReplays", "List the tenant's replays, newest first"))
            .answer::<Page<Replay>>(200, "A page of replays."),
        Call::ShowReplay => of("getReplay", "Show a replay").answer::<Replay>(200, "The replay, and how far it has come."),
        Call::PauseReplay => of("pauseReplay", "Have a replay send nothing more for now")
            .more("What it has sent goes on.")
            .answer::<Replay>(200, "The replay, which is paused.")
            .refuses(&[409]),
        Call::ResumeReplay => of("resumeReplay", "Have a replay go on")
            .answer::<Replay>(200, "The replay, which runs.")
            .refuses(&[409]),
        Call::CancelReplay => of("cancelReplay", "Have a replay send nothing more")
            .more("What it has sent goes on.")
            .answer::<Replay>(200, "The replay, which is cancelled.")
            .refuses(&[409]),
        Call::Stats => of("getStatistics", "Show what deliveries and attempts came to, by hour or day")
            .more("At most 500,000 webhooks times hours in a call; an operator is not limited.")
            .query("by", "How long each part is.", with_default(json!({"enum": ["hour", "day"]}), "hour"))
            .window()
            .query("webhook", "Of this webhook alone.", id())
            .query("tenant", TENANT, target())
            .query("provider", "Of this provider's tenants.", id())
            .answer::<Page<Part>>(200, "All parts, oldest first."),
        _ => return None,
    })
}

fn of_admin(call: Call) -> Option<Operation> {
    let of = |id, summary| operation(id, Tag::Admin, summary);
    Some(match call {
        Call::ListKeys => of("listKeys", "List keys").paged().answer::<Page<key::Key>>(200, "A page of keys, without their texts."),
        Call::CreateKey => of("createKey", "Make a key")
            .more("Without `operator`, `provider` and `tenant` it is a key of the default tenant. A provider makes keys of its tenants.")
            .body_or_none::<NewKey>()
            .answer::<key::NewKey>(201, "The one answer that shows the key's text.")
            .refuses(&[409, 507]),
        Call::RevokeKey => of("revokeKey", "Revoke a key, by its id or name")
            .empty(204, "No request that comes after this answer is taken with it.")
            .refuses(&[409, 507]),
        Call::Status => of("getStatus", "Show how the service is").answer::<Status>(200, "Its state and counts."),
        Call::Reload => of("reloadConfig", "Read the config files again")
            .answer::<Reloaded>(200, "What changed.")
            .refuses(&[409, 422]),
        Call::AcceptClock => of("acceptClock", "Trust the wall clock again").answer::<ClockAccepted>(200, "Whether it was doubted."),
        Call::CreateLoginLink => of("createLoginLink", "Make a link that signs in to the dashboard")
            .more("It works once, for 15 minutes. Whoever opens it first is signed in as the operator, for 12 hours.")
            .answer::<key::LoginLink>(201, "The link."),
        Call::BeginBackup => of("beginBackup", "Begin a backup")
            .body::<BackupPath>()
            .answer::<Backups>(202, "The backup is under way.")
            .refuses(&[409, 507]),
        Call::ShowBackups => of("getBackups", "Show the backup under way and the last one").answer::<Backups>(200, "Both."),
        Call::Export => of("exportRelay", "Show what another relay would need to go on, a piece at a time")
            .more(
                "One JSON object a line, each with its `kind`; the last line, of the kind `page`, says where the next piece begins. At the \
                 admin socket alone. `hookwheel export` makes a file of all pieces.",
            )
            .query("cursor", "The `next` of the piece before.", text())
            .query("secrets", "Whether keys, secrets and credentials are shown.", json!({"type": "boolean"}))
            .query("log", "Whether events and deliveries follow.", json!({"type": "boolean"}))
            .text(200, "The lines.", &[NDJSON]),
        Call::Import => of("importRelay", "Take lines of an export")
            .more(
                "Each line is taken whole or not at all, and has one result, in order: its `status` is `added`, `changed`, `left` (it was \
                 there already) or `refused`, with why. At most 10,000 lines and 16 MiB. At the admin socket alone. Events and deliveries \
                 become history, and are sent to nobody before somebody asks for it.",
            )
            .body::<ExportLine>()
            .body_as(NDJSON, json!({"type": "string", "description": "The lines of an export."}))
            .text(200, "One result a line.", &[NDJSON])
            .refuses(&[413, 507]),
        Call::ListTables => of("listTables", "Show what each table of the store takes")
            .more("The call reads the whole store.")
            .answer::<Tables>(200, "Rows and bytes of each table."),
        Call::ListAllWebhooks => of("listAllWebhooks", "List webhooks over tenants, oldest first")
            .paged()
            .query("tenant", TENANT, target())
            .query("name", "Those of this name.", json!({"type": "string"}))
            .query("uid", "Those of this uid, of each tenant one at most.", id())
            .query("failing", "Those whose last deliveries failed, or the others.", json!({"type": "boolean"}))
            .query("metadata", METADATA, metadata())
            .answer::<Page<webhook::Webhook>>(200, "A page of webhooks, each with its provider and tenant."),
        Call::ListAllDeliveries => filtered(of("listAllDeliveries", "List deliveries over tenants, newest first"))
            .query("tenant", TENANT, target())
            .query("webhook", "Those of this webhook.", id())
            .answer::<Page<Row>>(200, "A page of deliveries, each with its provider and tenant."),
        Call::ListAllAttempts => attempts(of("listAllAttempts", "List attempts over tenants, newest first"))
            .query("tenant", TENANT, target())
            .answer::<Page<AttemptRow>>(200, "A page of attempts, each with its provider and tenant."),
        Call::ListAllReplays => replays(of("listAllReplays", "List replays over tenants, newest first"))
            .query("tenant", TENANT, target())
            .answer::<Page<Replay>>(200, "A page of replays, each with its tenant."),
        Call::ListAudit => of("listAudit", "List every change, newest first")
            .paged()
            .query("actor", "Those by this key, user or file: its id or name.", text())
            .query("object", "Those of this object: its id or name.", text())
            .query("call", "Those by this call, as in `POST /v1/webhooks`.", text())
            .window()
            .answer::<Page<audit::Entry>>(200, "A page of changes."),
        Call::ListProviders => of("listProviders", "List providers, by name")
            .paged()
            .answer::<Page<Provider>>(200, "A page of providers."),
        Call::ShowProvider => of("getProvider", "Show a provider").answer::<Provider>(200, "The provider."),
        Call::PatchProvider => of("patchProvider", "Change what is said of a provider")
            .more("What the config file sets can be changed only there.")
            .body::<ProviderChanges>()
            .answer::<Provider>(200, "The provider as it is now.")
            .refuses(&[409, 507]),
        Call::ListTenants => of("listTenants", "List tenants, oldest first")
            .paged()
            .query("provider", "Those of this provider.", id())
            .query(
                "search",
                "Those whose id, uid or name holds this text.",
                json!({"type": "string", "minLength": 1, "maxLength": 128}),
            )
            .answer::<Page<Tenant>>(200, "A page of tenants."),
        Call::ShowTenant => of("getTenant", "Show a tenant").answer::<Tenant>(200, "The tenant."),
        Call::PutTenant => of("putTenant", "Make a tenant, or describe it anew")
            .body_or_none::<TenantProfile>()
            .answer::<Tenant>(200, "The tenant as it is now.")
            .answer::<Tenant>(201, "The tenant was made.")
            .refuses(&[409, 507]),
        Call::DeleteTenant => of("deleteTenant", "Delete a tenant")
            .more(
                "Its webhooks, keys and secrets are gone with the answer. Its events and its log are erased afterwards; until all is gone, \
                 the tenant shows `deleting`.",
            )
            .answer::<Tenant>(202, "The tenant, with how far its deletion has come.")
            .refuses(&[409]),
        _ => return None,
    })
}

fn other(call: Call) -> Option<Operation> {
    Some(match call {
        Call::ListEventTypes => operation("listEventTypes", Tag::EventTypes, "List the catalogue")
            .paged()
            .answer::<Page<EventType>>(200, "The dialect's types, then the provider's own by name."),
        Call::ShowEventType => {
            operation("getEventType", Tag::EventTypes, "Show an event type").answer::<EventType>(200, "The event type.")
        }
        Call::PutEventType => operation("putEventType", Tag::EventTypes, "Add an event type, or say anew what it looks like")
            .body::<EventTypeDefinition>()
            .answer::<EventType>(200, "The event type as it is now.")
            .answer::<EventType>(201, "The event type was added.")
            .refuses(&[409, 507]),
        Call::DeleteEventType => operation("deleteEventType", Tag::EventTypes, "Take away an event type that the provider added")
            .more("Webhooks that subscribe to it still get its events.")
            .empty(204, "It is taken away.")
            .refuses(&[409, 507]),
        Call::ImportEventTypes => operation("importEventTypes", Tag::EventTypes, "Add the webhooks of an OpenAPI document")
            .body::<OpenApiDocument>()
            .body_as("application/yaml", json!({"type": "string"}))
            .answer::<Imported>(200, "What was added, changed, and left as it was.")
            .refuses(&[409, 507]),
        Call::OpenConnection => operation("openConnection", Tag::Connections, "Pin the URLs of webhooks")
            .body::<NewConnection>()
            .answer::<Connection>(201, "It is open.")
            .answer::<Connection>(200, "It was open already.")
            .refuses(&[409, 507]),
        Call::CloseConnection => operation("closeConnection", Tag::Connections, "Close a connection")
            .more("Deliveries that are made keep their URL.")
            .query("tenant", "The tenant, where the key is a provider's.", id())
            .empty(204, "It is closed.")
            .refuses(&[409, 507]),
        Call::Healthz => operation("getLiveness", Tag::Health, "Tell that the process answers").answer::<Health>(200, "It does."),
        Call::Readyz => operation("getReadiness", Tag::Health, "Tell whether the service does its work")
            .answer::<Health>(200, "It is ready.")
            .answer::<Health>(503, "It is not ready, for these reasons."),
        Call::Metrics => operation("getMetrics", Tag::Health, "Show what is counted, for Prometheus")
            .more("Open at the admin socket and to the networks in `[server] metrics_allow`.")
            .text(200, "Text 0.0.4, or OpenMetrics where `Accept` asks for it.", &["text/plain", "application/openmetrics-text"]),
        Call::Docs => operation("getDocumentation", Tag::Documentation, "Show the first page of the documentation").text(
            200,
            "The page.",
            &[HTML],
        ),
        Call::DocsPage => operation("getDocumentationPage", Tag::Documentation, "Show a page of the documentation")
            .text(200, "The page, or the style sheet of all pages.", &[HTML, "text/css"])
            .refuses(&[404]),
        Call::DocsReference => operation("getReferencePage", Tag::Documentation, "Show a page of the API reference")
            .text(200, "The page.", &[HTML])
            .refuses(&[404]),
        Call::DocsProblem => operation("getProblemPage", Tag::Documentation, "Show the page about a type of problem")
            .text(200, "The page.", &[HTML])
            .refuses(&[404]),
        Call::OpenApi => {
            operation("getOpenApi", Tag::Documentation, "Show this document").answer::<OpenApi>(200, "The document.")
        }
        _ => return None,
    })
}

/// A list of deliveries takes these.
fn filtered(operation: Operation) -> Operation {
    by_delivery(operation.paged())
}

/// What is about deliveries takes these filters.
fn by_delivery(operation: Operation) -> Operation {
    operation
        .query("status", "Those in this state.", json!({"enum": ["pending", "succeeded", "failed", "held"]}))
        .query("type", "Those of events of this type: a name, `prefix.*` or `*`.", json!({"type": "string"}))
        .query("code", "Those whose newest response had this status.", json!({"type": "integer", "minimum": 100, "maximum": 599}))
        .window()
        .query("event", "Those of this event.", id())
        .query("test", "Tests alone, or none.", json!({"type": "boolean"}))
}

/// A list of replays takes these.
fn replays(operation: Operation) -> Operation {
    operation.paged().query("state", "Those in this state.", json!({"enum": ["running", "paused", "done", "cancelled"]}))
}

/// A list of attempts takes these.
fn attempts(operation: Operation) -> Operation {
    operation
        .paged()
        .query("webhook", "Those of this webhook.", id())
        .query("event", "Those of this event.", id())
        .query("status", "Those that ended so.", json!({"enum": ["succeeded", "failed"]}))
        .query("code", "Those whose response had this status.", json!({"type": "integer", "minimum": 100, "maximum": 599}))
        .query("class", "Those with this `error`, or with a status of these hundreds.", json!({"enum": classes()}))
        .window()
}

fn classes() -> Vec<String> {
    let statuses = (1..=5).map(|hundreds| format!("{hundreds}xx"));
    Class::ALL.map(|class| class.name().to_owned()).into_iter().chain(statuses).collect()
}

fn text() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 1024})
}

fn id() -> Value {
    json!({"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,256}$"})
}

fn target() -> Value {
    json!({"type": "string", "pattern": super::TARGET_PATTERN})
}

/// Its members are parameters of their own, as in `?metadata.plan=pro`.
fn metadata() -> Value {
    json!({"type": "object", "patternProperties": {"^metadata\\..+$": {"type": "string"}}, "additionalProperties": false})
}

fn duration() -> Value {
    json!({"type": "string", "pattern": "^(0|([0-9]+(w|d|h|m|s|ms))+)$"})
}

fn with_default(mut schema: Value, default: &str) -> Value {
    schema["default"] = default.into();
    schema
}

const HTML: &str = "text/html";
const NDJSON: &str = "application/x-ndjson";
const DELIVERIES: &str = "A page of deliveries.";
const TENANT: &str = "Of this tenant, `PROVIDER/TENANT`, or of all of a provider, `PROVIDER/*`.";
const METADATA: &str = "Those whose metadata has the name behind the point with this value, as in `metadata.plan=pro`.";
const STREAM: &str = "Server-sent events. `delivery` has a delivery as `GET /v1/deliveries` lists it, whenever one is made, ends, is held or is \
    to be sent again. `attempt` has an attempt as `GET /v1/attempts` lists it, when it has ended. `lost` has `{\"count\"}`: so many rows \
    that the caller may see passed, whatever its filters, while it was more than 10,000 rows of all tenants behind (or 32 MiB); the stream \
    goes on. A comment comes every \
    15 s. Of an operator or a provider that names no single tenant, each row has its `provider` and `tenant`. A filter judges a delivery as \
    the change left it, and an attempt by its delivery.\n\n\
    Each event has an `id`. `Last-Event-ID` goes on behind it: of what passed meanwhile comes every attempt and every end, each delivery as \
    it stands by then, and some may come twice. Those that wait in the backlog of a webhook when it is disabled are not told one by one. \
    The connection of a reader that takes nothing for 30 s is closed. At most 1,000 streams are open at once, of them at most 250 of one \
    tenant or provider, and 50 are kept for operators; one more is a 503 with `Retry-After`. A stream ends when its key is revoked, expires \
    or loses a right, when its tenant is deleted, and when the service stops.";
