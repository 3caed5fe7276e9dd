//! Writes JSON answers straight into the bytes that are sent, with members in the order in which they are added.
//!
//! Published data is copied byte for byte, which a tree of values would not do.

use std::time::Duration;

use crate::domain::json::quote;
use crate::domain::time::Timestamp;

/// The JSON of one object.
pub(crate) fn object(fill: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(OBJECT_BYTES_LIKELY);
    fill_object(&mut bytes, fill);
    bytes
}

/// The JSON of one object and a line feed, as a whole answer.
pub(crate) fn line(fill: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    let mut bytes = object(fill);
    bytes.push(b'\n');
    bytes
}

/// An object that is being written.
pub(crate) struct Object<'a> {
    into: &'a mut Vec<u8>,
    empty: bool,
}

impl Object<'_> {
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        quote(value, self.member(name));
    }

    /// Adds a string, or null.
    pub(crate) fn text_or_null(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(name, value),
            None => self.null(name),
        }
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.member(name).extend_from_slice(value.to_string().as_bytes());
    }

    /// Adds a number with up to three decimals, or null.
    pub(crate) fn decimal(&mut self, name: &str, value: Option<f64>) {
        match value {
            Some(value) => self.raw(name, ((value * 1e3).round() / 1e3).to_string().as_bytes()),
            None => self.null(name),
        }
    }

    /// Adds a duration in milliseconds, or null.
    pub(crate) fn millis(&mut self, name: &str, value: Option<Duration>) {
        self.decimal(name, value.map(|value| value.as_secs_f64() * 1e3));
    }

    /// Adds a number, or null.
    pub(crate) fn number_or_null(&mut self, name: &str, value: Option<u64>) {
        match value {
            Some(value) => self.number(name, value),
            None => self.null(name),
        }
    }

    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        self.member(name).extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub(crate) fn null(&mut self, name: &str) {
        self.member(name).extend_from_slice(b"null");
    }

    /// Adds a time as RFC 3339 in UTC and whole seconds, or null.
    pub(crate) fn time(&mut self, name: &str, value: Option<Timestamp>) {
        self.text_or_null(name, value.map(Timestamp::rfc3339_secs).as_deref());
    }

    /// Adds a JSON value byte for byte.
    pub(crate) fn raw(&mut self, name: &str, value: &[u8]) {
        self.member(name).extend_from_slice(value);
    }

    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        fill_object(self.member(name), fill);
    }

    /// Adds a list; `each` writes one element.
    pub(crate) fn list<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, mut each: impl FnMut(T, &mut Vec<u8>)) {
        let into = self.member(name);
        into.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                into.push(b',');
            }
            each(item, into);
        }
        into.push(b']');
    }

    /// Adds a list of objects.
    pub(crate) fn objects<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, fill: impl Fn(T, &mut Object<'_>)) {
        self.list(name, items, |item, into| fill_object(into, |object| fill(item, object)));
    }

    /// Begins a list as the last member. The caller must end the list and the object.
    pub(crate) fn open_list(&mut self, name: &str) {
        self.member(name).push(b'[');
    }

    pub(crate) fn texts<'t>(&mut self, name: &str, items: impl IntoIterator<Item = &'t str>) {
        self.list(name, items, quote);
    }

    fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.empty, false) {
            self.into.push(b',');
        }
        quote(name, self.into);
        self.into.push(b':');
        self.into
    }
}

/// Appends one object to `into`.
pub(crate) fn fill_object(into: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    open_object(into, fill);
    into.push(b'}');
}

/// Appends an object without its end. [`go_on`] adds members, and the caller ends it.
pub(crate) fn open_object(into: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    into.push(b'{');
    fill(&mut Object { into, empty: true });
}

/// Appends further members to an object that has at least one.
pub(crate) fn go_on(into: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    fill(&mut Object { into, empty: false });
}

/// The bytes allocated for an object: enough for a webhook, or a delivery without its attempts.
const OBJECT_BYTES_LIKELY: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_in_the_order_they_are_named() {
        let bytes = object(|o| {
            o.text("b", "x\"y");
            o.number("a", 7);
            o.null("n");
            o.boolean("t", true);
            o.raw("d", b"1e999");
            o.object("o", |o| o.texts("l", ["p", "q"]));
            o.objects("e", [1, 2], |n, o| o.number("n", n));
        });
        let expected = r#"{"b":"x\"y","a":7,"n":null,"t":true,"d":1e999,"o":{"l":["p","q"]},"e":[{"n":1},{"n":2}]}"#;
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn times_are_printed_in_whole_seconds() {
        let bytes = object(|o| {
            o.time("at", Some(Timestamp::from_millis(1_500)));
            o.time("never", None);
        });
        assert_eq!(bytes, br#"{"at":"1970-01-01T00:00:01Z","never":null}"#);
    }
}
