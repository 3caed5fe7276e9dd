//! One record of the store as a JSON object: its table, its row as it stands in the file, and what of it a person can read.
//!
//! An event's row is left out, since its members say all of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::domain::delivery::{Delivery, State};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, Node, TenantNo};
use crate::domain::time::Timestamp;
use crate::store::Attempt;
use crate::store::error::Error;
use crate::store::record;
use crate::store::record::key::{DELIVERY_ROW, read_log_key};

/// A record that is about to be printed.
pub(in crate::store) struct Line {
    members: Map<String, Value>,
    /// An event's data as it was published, byte for byte.
    data: Option<Box<RawValue>>,
}

impl Line {
    /// `key` and `value` as they stand in the file; the record is one whose checksum holds.
    pub(in crate::store) fn of(table: &'static str, key: &[u8], value: &[u8], node: Node) -> Self {
        let mut line = Self { members: Map::new(), data: None };
        line.note("table", table);
        // A form that cannot be read on is printed as it stands.
        if line.read(table, key, value, node).is_err() || table != "event" {
            line.note("key", hex::encode(key));
            line.note("record", hex::encode(value));
        }
        line
    }

    pub(in crate::store) fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.members.insert(name.into(), value.into());
    }

    fn all(&mut self, members: Value) {
        if let Value::Object(members) = members {
            self.members.extend(members);
        }
    }

    fn read(&mut self, table: &'static str, key: &[u8], value: &[u8], node: Node) -> Result<(), Error> {
        match table {
            "event" => self.event(EventKey(long(key)), value, node),
            "log" => self.log(key, value, node),
            "endpoint" => self.webhook(EndpointNo(short(key)), value),
            "tenant" => {
                let tenant = record::read_tenant(TenantNo(short(key)), value)?;
                self.all(json!({ "provider": &*tenant.owned.provider, "tenant": &*tenant.owned.tenant }));
                Ok(())
            }
            "key" => self.key(key, value),
            "event_type" => {
                let known = record::read_event_type(key, value)?;
                self.all(json!({ "name": &*known.name, "description": &*known.description, "example": &*known.example }));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn event(&mut self, key: EventKey, value: &[u8], node: Node) -> Result<(), Error> {
        let stored = record::read_event(key, node, value)?;
        let (event, data) = (&stored.event, stored.event.content.data());
        self.all(json!({
            "id": &*event.id,
            "type": &*event.kind,
            "provider": &*event.provider,
            "tenant": event.tenant.as_deref(),
            "published_at": key.time().rfc3339_micros(),
            "occurred_at": event.occurred_at.map(Timestamp::rfc3339_micros),
            "attributes": event.attributes.iter().map(|(name, value)| (name.clone(), json!(&**value))).collect::<Map<_, _>>(),
            "connection": event.connection.as_deref(),
            "test": event.test,
            "deliveries": stored.deliveries,
        }));
        let body = event.content.body();
        if body != data {
            self.text("body", &body);
        }
        match std::str::from_utf8(&data).ok().and_then(|text| RawValue::from_string(text.into()).ok()) {
            Some(raw) => self.data = Some(raw),
            None => self.text("data", &data),
        }
        Ok(())
    }

    fn log(&mut self, key: &[u8], value: &[u8], node: Node) -> Result<(), Error> {
        let Ok(row) = key.try_into() else { return Ok(()) };
        let (delivery, number) = read_log_key(&row);
        self.all(json!({
            "delivery_id": node.delivery_id(delivery),
            "event_id": node.event_id(delivery.event),
            "webhook_no": delivery.endpoint.0,
        }));
        if number != DELIVERY_ROW {
            return self.attempt(&record::read_attempt(&row, value)?);
        }
        let (known, newest) = record::read_delivery(delivery, value)?;
        self.delivery(delivery, &known);
        newest.as_ref().map_or(Ok(()), |attempt| self.attempt(attempt))
    }

    fn delivery(&mut self, key: DeliveryKey, known: &Delivery) {
        let (status, ended_at) = match known.state {
            State::Pending(_) => ("pending", None),
            State::Succeeded { at } => ("succeeded", Some(at)),
            State::Failed { at, .. } => ("failed", Some(at)),
        };
        self.all(json!({
            "status": status,
            "created_at": key.event.time().rfc3339_micros(),
            "ended_at": ended_at.map(Timestamp::rfc3339_micros),
            "attempts": known.attempts,
        }));
    }

    fn attempt(&mut self, attempt: &Attempt) -> Result<(), Error> {
        let (code, failure) = match &attempt.outcome.result {
            Ok(response) => (Some(response.status), None),
            Err(failure) => (None, Some(failure.detail.clone())),
        };
        let told = json!({
            "number": attempt.number,
            "started_at": attempt.started_at.rfc3339_micros(),
            "url": &*attempt.url,
            "code": code,
            "error": attempt.error.map(|class| class.name()),
            "detail": failure,
        });
        self.note("attempt", told);
        if let Ok(response) = &attempt.outcome.result {
            self.text("response_body", &response.body);
        }
        Ok(())
    }

    /// A webhook without its secrets, which stand sealed in its record.
    fn webhook(&mut self, no: EndpointNo, value: &[u8]) -> Result<(), Error> {
        let shown = record::show_webhook(no, value)?;
        self.all(json!({
            "id": shown.id,
            "webhook_no": no.0,
            "provider": &*shown.owned.provider,
            "tenant": &*shown.owned.tenant,
            "name": shown.name,
            "description": shown.description,
            "url": shown.url,
            "events": shown.events,
        }));
        Ok(())
    }

    fn key(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let Ok(hash) = key.try_into() else { return Ok(()) };
        let (known, _) = record::read_key(hash, value)?;
        self.all(json!({ "id": &*known.id, "name": &*known.name, "created_at": known.created_at.rfc3339_micros() }));
        Ok(())
    }

    /// Bytes as text, or as base64 where they are none.
    fn text(&mut self, name: &str, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.note(name, text),
            Err(_) => self.note(&format!("{name}_base64"), STANDARD.encode(bytes)),
        }
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.members {
            map.serialize_entry(name, value)?;
        }
        if let Some(data) = &self.data {
            map.serialize_entry("data", data)?;
        }
        map.end()
    }
}

/// A number in a key, as redb keeps it.
fn long(key: &[u8]) -> u64 {
    key.try_into().map_or(0, u64::from_le_bytes)
}

fn short(key: &[u8]) -> u32 {
    key.try_into().map_or(0, u32::from_le_bytes)
}
