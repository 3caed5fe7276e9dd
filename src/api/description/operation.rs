//! What is said of one call, beside what the table of routes says of it.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// One call.
pub(super) struct Operation {
    /// Unique, in camel case: what generated clients name their method.
    pub(super) id: &'static str,
    pub(super) tag: Tag,
    pub(super) summary: &'static str,
    /// Markdown, one paragraph; may be empty.
    pub(super) more: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    /// The statuses of problems besides those that every call may have.
    pub(super) refusals: Vec<u16>,
}

/// The kind of thing that a call is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Events,
    Webhooks,
    Deliveries,
    EventTypes,
    Connections,
    Admin,
    Health,
    Documentation,
}

/// A parameter of the query or a header.
pub(super) struct Parameter {
    pub(super) place: &'static str,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) schema: Value,
}

/// What a call takes.
pub(super) struct Body {
    pub(super) form: Form,
    pub(super) required: bool,
    /// Further media types with their schema.
    pub(super) also: Vec<(&'static str, Value)>,
}

/// An answer that is no problem.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) about: &'static str,
    /// The media type with its form. `None`: the answer has no body.
    pub(super) content: Vec<(&'static str, Content)>,
}

/// The form of a content: a type, or any text.
pub(super) enum Content {
    Form(Form),
    Text,
}

/// Makes the schema of a type.
pub(super) type Form = fn(&mut SchemaGenerator) -> Schema;

impl Tag {
    pub(super) const ALL: [Self; 8] = [
        Self::Events,
        Self::Webhooks,
        Self::Deliveries,
        Self::EventTypes,
        Self::Connections,
        Self::Admin,
        Self::Health,
        Self::Documentation,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Webhooks => "webhooks",
            Self::Deliveries => "deliveries",
            Self::EventTypes => "event-types",
            Self::Connections => "connections",
            Self::Admin => "admin",
            Self::Health => "health",
            Self::Documentation => "documentation",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Events => "Things that happened: published once, kept on disk, sent to every webhook that subscribes.",
            Self::Webhooks => {
                "Subscribed endpoints. The same calls stand under `/webhooks`, without `/v1`. A webhook is shown as its provider's \
                 dialect shows it; the form here has every member that a dialect may show."
            }
            Self::Deliveries => "One event for one webhook, with every attempt: the log.",
            Self::EventTypes => "The catalogue of a provider: what its events are called and look like.",
            Self::Connections => "Spans of time in which the URLs of webhooks are pinned, in dialects that have them.",
            Self::Admin => {
                "For the operator, and in part for providers: keys, tenants, lists over tenants, and the service itself."
            }
            Self::Health => "For whatever watches the service.",
            Self::Documentation => "What the service says about itself.",
        }
    }
}

/// Begins the description of a call.
pub(super) fn operation(id: &'static str, tag: Tag, summary: &'static str) -> Operation {
    let (parameters, answers, refusals) = (Vec::new(), Vec::new(), Vec::new());
    Operation { id, tag, summary, more: "", parameters, body: None, answers, refusals }
}

impl Operation {
    pub(super) fn more(self, more: &'static str) -> Self {
        Self { more, ..self }
    }

    /// Adds a parameter of the query.
    pub(super) fn query(self, name: &'static str, about: &'static str, schema: Value) -> Self {
        self.parameter("query", name, about, schema)
    }

    pub(super) fn header(self, name: &'static str, about: &'static str, schema: Value) -> Self {
        self.parameter("header", name, about, schema)
    }

    fn parameter(mut self, place: &'static str, name: &'static str, about: &'static str, schema: Value) -> Self {
        self.parameters.push(Parameter { place, name, about, schema });
        self
    }

    /// `limit` and `cursor`.
    pub(super) fn paged(self) -> Self {
        self.query(
            "limit",
            "How many items the page has.",
            json!({"type": "integer", "minimum": 1, "maximum": 250, "default": 50}),
        )
        .query("cursor", "Where the page begins: the `next` of the page before.", json!({"type": "string"}))
    }

    /// `since` and `until`.
    pub(super) fn window(self) -> Self {
        self.query("since", "From then on: a time, or how long ago, such as `10m`.", moment()).query(
            "until",
            "Up to then: a time, or how long ago.",
            moment(),
        )
    }

    /// `expand`.
    pub(super) fn expands(self) -> Self {
        self.query("expand", "Shows the settings also in a dialect that leaves them out.", json!({"enum": ["settings"]}))
    }

    pub(super) fn body<T: JsonSchema>(self) -> Self {
        Self { body: Some(Body { form: SchemaGenerator::subschema_for::<T>, required: true, also: Vec::new() }), ..self }
    }

    /// A body that may be left out.
    pub(super) fn body_or_none<T: JsonSchema>(self) -> Self {
        Self { body: Some(Body { form: SchemaGenerator::subschema_for::<T>, required: false, also: Vec::new() }), ..self }
    }

    /// The body may also be of another media type.
    pub(super) fn body_as(mut self, media_type: &'static str, schema: Value) -> Self {
        self.body.iter_mut().for_each(|body| body.also.push((media_type, schema.clone())));
        self
    }

    /// An answer in JSON.
    pub(super) fn answer<T: JsonSchema>(self, status: u16, about: &'static str) -> Self {
        self.answer_as(status, about, vec![(JSON, Content::Form(SchemaGenerator::subschema_for::<T>))])
    }

    /// An answer without a body.
    pub(super) fn empty(self, status: u16, about: &'static str) -> Self {
        self.answer_as(status, about, Vec::new())
    }

    /// An answer that is text of these media types.
    pub(super) fn text(self, status: u16, about: &'static str, media_types: &[&'static str]) -> Self {
        self.answer_as(status, about, media_types.iter().map(|media_type| (*media_type, Content::Text)).collect())
    }

    /// The answer of this status may also be text of another media type.
    pub(super) fn or_text(mut self, status: u16, media_type: &'static str) -> Self {
        let known = self.answers.iter_mut().filter(|answer| answer.status == status);
        known.for_each(|answer| answer.content.push((media_type, Content::Text)));
        self
    }

    /// The answer of this status may also have another form in JSON.
    pub(super) fn or_form<T: JsonSchema>(mut self, status: u16) -> Self {
        let form: Form = SchemaGenerator::subschema_for::<T>;
        let known = self.answers.iter_mut().filter(|answer| answer.status == status);
        known.for_each(|answer| answer.content.push((JSON, Content::Form(form))));
        self
    }

    fn answer_as(mut self, status: u16, about: &'static str, content: Vec<(&'static str, Content)>) -> Self {
        self.answers.push(Answer { status, about, content });
        self
    }

    /// Problems of these statuses may be answered, besides those of every call.
    pub(super) fn refuses(self, refusals: &[u16]) -> Self {
        Self { refusals: refusals.to_vec(), ..self }
    }
}

pub(super) const JSON: &str = "application/json";

/// A time, or how long ago.
fn moment() -> Value {
    json!({"type": "string", "pattern": "^([0-9]{4}-[0-9]{2}-[0-9]{2}T.+|0|([0-9]+(w|d|h|m|s|ms))+)$"})
}
