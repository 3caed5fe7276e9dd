//! Rows as server-sent events (WHATWG HTML, 9.2), printed once for all readers that are shown the same.

use std::sync::OnceLock;

use bytes::Bytes;
use serde::Serialize;

use super::cursor::Place;
use crate::api::document;
use crate::api::document::delivery::Owner;
use crate::api::request::auth::Rank;
use crate::api::request::cursor::encode;
use crate::domain::access::Scopes;
use crate::domain::id::{AttemptKey, Node};
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::{Attempt, View};

/// Which form of a row a reader is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Whether the reader is told what opens a refused address.
    pub(super) is_operator: bool,
    /// Whether the row has its provider and tenant.
    pub(super) has_owner: bool,
}

/// A row in all forms in which it is shown.
#[derive(Debug)]
pub(super) struct Frame {
    own: Form,
    /// Where operators are shown something else.
    operators: Option<Form>,
    owner: Owner,
}

/// A form without the row's owner, and once somebody wants it with the owner.
#[derive(Debug)]
struct Form(Bytes, OnceLock<Bytes>);

impl Frame {
    /// A delivery.
    pub(super) fn delivery(node: Node, view: &View, place: &Place) -> Self {
        Self { own: Form::new("delivery", place, &super::super::row(node, view)), operators: None, owner: owner(&view.endpoint) }
    }

    /// An attempt of a delivery.
    pub(super) fn attempt(node: Node, view: &View, (key, attempt): (AttemptKey, &Attempt), place: &Place) -> Self {
        let row = |rank| super::super::attempts::shown(node, key, attempt, (&view.event_id, &view.kind), &view.endpoint, rank);
        let form = |rank| Form::new("attempt", place, &row(rank));
        // Operators are told more of some failures.
        let operators = attempt.outcome.result.is_err().then(|| form(Rank::Operator));
        Self { own: form(Rank::Tenant(Scopes::ALL)), operators, owner: owner(&view.endpoint) }
    }

    /// As this reader is shown it.
    pub(super) fn text(&self, look: Look) -> Bytes {
        let form = self.operators.as_ref().filter(|_| look.is_operator).unwrap_or(&self.own);
        if look.has_owner { form.with(&self.owner) } else { form.0.clone() }
    }

    /// How many bytes its forms take, about.
    pub(super) fn bytes(&self) -> usize {
        let forms = std::iter::once(&self.own).chain(&self.operators);
        forms.map(|form| 2 * form.0.len()).sum()
    }
}

impl Form {
    fn new(event: &str, place: &Place, row: &impl Serialize) -> Self {
        let mut text = format!("event: {event}\nid: {}\ndata: ", encode(place)).into_bytes();
        document::write(row, &mut text);
        text.extend_from_slice(END);
        Self(text.into(), OnceLock::new())
    }

    /// The members of the owner stand behind those of the row.
    fn with(&self, owner: &Owner) -> Bytes {
        let made = self.1.get_or_init(|| {
            let mut text = self.0[..self.0.len() - END.len() - 1].to_vec();
            document::member("provider", &owner.provider, &mut text);
            document::member("tenant", &owner.tenant, &mut text);
            text.push(b'}');
            text.extend_from_slice(END);
            text.into()
        });
        made.clone()
    }
}

fn owner(endpoint: &Endpoint) -> Owner {
    Owner { provider: endpoint.provider.to_string(), tenant: endpoint.tenant.to_string() }
}

/// Says that rows were lost, and how many; `place` is where the stream goes on.
pub(super) fn lost(count: u64, place: &Place, into: &mut Vec<u8>) {
    let text = format!("event: lost\nid: {}\ndata: {{\"count\":{count}}}\n\n", encode(place));
    into.extend_from_slice(text.as_bytes());
}

/// Says where the stream is, to a reader that was shown nothing. A reader takes note of the id and dispatches no event.
pub(super) fn id(place: &Place, into: &mut Vec<u8>) {
    into.extend_from_slice(format!("id: {}\n\n", encode(place)).as_bytes());
}

/// Says that the stream lives.
pub(super) const BEAT: &[u8] = b": the stream lives\n\n";

/// After how many milliseconds a reader comes back whose connection broke.
pub(super) const RETRY: &[u8] = b"retry: 1000\n";

/// The end of a frame.
const END: &[u8] = b"\n\n";
