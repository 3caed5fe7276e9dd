//! JSON as a validator sees it, where each look costs a step. A look that takes too many steps, or goes too deep for the stack,
//! ends at once.

use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::slice;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object, SerdeJson, unique};
use serde_json::{Map, Number, Value, map};

/// The steps were used up, or the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent;

thread_local! {
    /// The steps that are left on this thread, and the lowest address that the stack may reach.
    static LEFT: Cell<(u64, usize)> = const { Cell::new((0, 0)) };
}

/// Calls `look`, which may take `steps` steps. When they are used up it ends by unwinding, since a validator has no other way to be
/// stopped. A fault inside of the validator that unwinds counts as the same.
pub(super) fn within<T>(steps: u64, look: impl FnOnce() -> T) -> Result<T, Spent> {
    LEFT.set((steps, here().saturating_sub(STACK_BYTES)));
    catch_unwind(AssertUnwindSafe(look)).map_err(|_: Box<dyn Any + Send>| Spent)
}

fn spend(steps: usize) {
    let (left, lowest) = LEFT.get();
    match left.checked_sub(steps as u64).filter(|_| here() > lowest) {
        Some(left) => LEFT.set((left, lowest)),
        // It runs no panic hook: nothing is broken, and nothing is to be logged.
        None => resume_unwind(Box::new(Spent)),
    }
}

/// An address on the stack.
#[inline(never)]
fn here() -> usize {
    let local = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&local)).addr()
}

/// The JSON of `serde_json`, counted.
pub(super) struct Counted;

/// A value.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a>(pub(super) &'a Value);

/// The members of an object.
pub(super) struct Members<'a>(&'a Map<String, Value>);

pub(super) struct MembersIter<'a>(map::Iter<'a>);

/// The elements of an array.
pub(super) struct Elements<'a>(&'a [Value]);

pub(super) struct ElementsIter<'a>(slice::Iter<'a, Value>);

impl Json for Counted {
    type Node<'a> = Seen<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    const KEYS_PER_LOOKUP: usize = SerdeJson::KEYS_PER_LOOKUP;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Seen<'_>) -> T) -> T {
        spend(1 + string.len() / BYTES_A_STEP);
        SerdeJson::with_string_node(&mut (), string, |node| f(Seen(node)))
    }
}

impl<'a> Node<'a, Counted> for Seen<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        spend(1);
        self.0.as_object().map(Members)
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        spend(1);
        self.0.as_array().map(|all| Elements(all))
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.0.as_str();
        spend(1 + text.map_or(0, str::len) / BYTES_A_STEP);
        text.map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a Number> {
        spend(1);
        self.0.as_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        spend(1);
        self.0.as_bool()
    }

    fn is_null(&self) -> bool {
        spend(1);
        self.0.is_null()
    }

    fn json_type(&self) -> JsonType {
        spend(1);
        Node::<SerdeJson>::json_type(&self.0)
    }

    fn string_length(&self) -> Option<u64> {
        spend(1 + self.0.as_str().map_or(0, str::len) / BYTES_A_STEP);
        Node::<SerdeJson>::string_length(&self.0)
    }

    fn equals_value(&self, expected: &Value) -> bool {
        spend(1 + size(self.0).min(size(expected)));
        Node::<SerdeJson>::equals_value(&self.0, expected)
    }

    fn to_value(&self) -> Cow<'a, Value> {
        spend(1);
        Cow::Borrowed(self.0)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Node::<SerdeJson>::identity(&self.0)
    }
}

impl<'a> Object<'a, Counted> for Members<'a> {
    type Node = Seen<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &String) -> Option<Seen<'a>> {
        spend(1);
        self.0.get(key).map(Seen)
    }

    fn members(&self) -> MembersIter<'a> {
        spend(1);
        MembersIter(self.0.iter())
    }
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Seen<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.0.next()?;
        spend(1 + name.len() / BYTES_A_STEP);
        Some((name, Seen(value)))
    }
}

impl<'a> Array<'a, Counted> for Elements<'a> {
    type Node = Seen<'a>;
    type ElementsIter = ElementsIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> ElementsIter<'a> {
        spend(1);
        ElementsIter(self.0.iter())
    }

    fn is_unique(&self) -> bool {
        // Elements are compared by their hashes, so all of what they hold is read once.
        spend(self.0.iter().map(|element| 1 + size(element)).sum());
        unique::is_unique(self.0)
    }
}

impl<'a> Iterator for ElementsIter<'a> {
    type Item = Seen<'a>;

    fn next(&mut self) -> Option<Seen<'a>> {
        let value = self.0.next()?;
        spend(1);
        Some(Seen(value))
    }
}

/// About how many steps it takes to compare a value with an equal one.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() / BYTES_A_STEP,
        Value::Array(all) => all.len(),
        Value::Object(all) => all.len(),
        _ => 0,
    }
}

/// How many bytes of a text are read in one step. A pattern may take longer for a byte than a comparison.
const BYTES_A_STEP: usize = 4;

/// How much of the stack a look may use. Threads have 2 MiB.
const STACK_BYTES: usize = 1 << 20;
