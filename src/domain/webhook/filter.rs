//! The payload filter of a webhook: which of the events that it subscribes to it gets, by what is in them.
//!
//! A filter is JSON that looks like the events that it lets through: `{"data": {"amount": {"$gt": 100}}}`. It is matched against
//! `{"type", "data", "attributes"}`. The syntax is the one that Hookdeck, Convoy and Outpost share.
//!
//! | in the filter | matches |
//! |---|---|
//! | a primitive | an equal value, or an array that contains one |
//! | an array | an array in which each of the filter's items matches some item |
//! | an object | a value for which all its operators and all its keys hold; in an array one and the same item must do |
//! | `{}` | every value |
//! | `$eq` `$in`, `$neq` `$nin` | an equal value, deeply; one that is not. Of an array any item counts, and the array as a whole |
//! | `$gt` `$gte` `$lt` `$lte` | numbers by value, or strings by code point; of an array any item |
//! | `$startsWith` `$endsWith` | strings; of an array any item |
//! | `$exist` | whether there is a value at all |
//! | `$not` `$and` `$or` | what their filters say of the same value |
//!
//! A path that leads nowhere matches `{"$exist": false}` and what `$not` lets through, and nothing else. Keys are literal, and of a
//! member that is given twice the last one counts. An object with operators alone is asked of an array operator by operator.

mod matching;
mod read;
#[cfg(test)]
mod tests;
mod why;

use std::fmt;

pub(crate) use matching::{Judge, Subject, Verdict};

use crate::domain::json::decimal::Number;
use crate::domain::refusal::Refusal;

/// A filter that was read and can be matched. Two filters are equal when their texts are.
#[derive(Clone)]
pub(crate) struct Filter {
    text: Box<str>,
    root: Object,
}

impl Filter {
    /// Reads a filter: a JSON object of at most [`BYTES_MAX`] bytes and [`LEVELS_MAX`] levels.
    ///
    /// Fails with every operator that is unknown or has an operand of the wrong type. Each is named by its pointer inside the
    /// filter, and at most [`REFUSALS_MAX`] are reported.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<Refusal>> {
        let root = read::root(text)?;
        Ok(Self { text: text.into(), root })
    }

    /// The filter's text as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Filter {}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({})", self.text)
    }
}

/// A part of a filter, which is matched against one value.
#[derive(Clone, Debug)]
enum Node {
    Scalar(Scalar),
    /// Filters, each of which must match some item of an array.
    Items(Box<[Node]>),
    Object(Object),
}

/// Operators and keys of one object, all of which must hold. The keys are sorted and differ.
#[derive(Clone, Debug, Default)]
struct Object {
    operators: Box<[Operator]>,
    keys: Box<[(Box<str>, Node)]>,
}

/// An operator with its operand. `name` is its name in the filter.
#[derive(Clone, Debug)]
struct Operator {
    name: &'static str,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// The value equals one of the operands: `$in`, or `$eq` with one operand.
    In(Box<[Operand]>),
    /// The value equals none of the operands: `$nin`, or `$neq` with one operand.
    NotIn(Box<[Operand]>),
    Bound(Side, Limit),
    StartsWith(Box<[Box<str>]>),
    EndsWith(Box<[Box<str>]>),
    Exist(bool),
    Not(Box<Node>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
}

/// On which side of a limit a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Above,
    AboveOrAt,
    Below,
    BelowOrAt,
}

/// The limit that a value is compared with. A value of another type does not match.
#[derive(Clone, Debug)]
enum Limit {
    Number(Number),
    Text(Box<str>),
}

/// A value that another must equal in depth. The members of an object are sorted and differ.
#[derive(Clone, Debug)]
enum Operand {
    Scalar(Scalar),
    Array(Box<[Operand]>),
    Object(Box<[(Box<str>, Operand)]>),
}

#[derive(Clone, Debug)]
enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
}

/// The longest text of a filter, in bytes.
pub(crate) const BYTES_MAX: usize = 16 << 10;

/// The deepest nesting of a filter's arrays and objects. `{}` has one level.
pub(crate) const LEVELS_MAX: usize = 16;

/// The most faults of one filter that are reported.
pub(crate) const REFUSALS_MAX: usize = 20;
