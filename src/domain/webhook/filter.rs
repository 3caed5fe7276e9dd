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

/// A filter that was read and is ready to be matched. Two filters are equal when they are written alike.
#[derive(Clone)]
pub(crate) struct Filter {
    text: Box<str>,
    root: Object,
}

impl Filter {
    /// Reads a filter: a JSON object of at most [`BYTES_MAX`] bytes and [`LEVELS_MAX`] levels.
    ///
    /// Fails with every operator that is unknown or has an operand of the wrong type, each by its pointer inside the filter, at most
    /// [`REFUSALS_MAX`] of them.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<Refusal>> {
        let root = read::root(text)?;
        Ok(Self { text: text.into(), root })
    }

    /// As it was written.
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

/// What a filter says of one value.
#[derive(Clone, Debug)]
enum Node {
    Scalar(Scalar),
    /// Each must match some item of an array.
    Items(Box<[Node]>),
    Object(Object),
}

/// Operators and keys that stand side by side: all must hold. The keys are sorted and differ.
#[derive(Clone, Debug, Default)]
struct Object {
    operators: Box<[Operator]>,
    keys: Box<[(Box<str>, Node)]>,
}

/// An operator with its operand, by the name that it has in the filter.
#[derive(Clone, Debug)]
struct Operator {
    name: &'static str,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// `$in`, and `$eq` with one operand.
    In(Box<[Operand]>),
    /// `$nin`, and `$neq` with one operand.
    NotIn(Box<[Operand]>),
    Bound(Side, Limit),
    StartsWith(Box<[Box<str>]>),
    EndsWith(Box<[Box<str>]>),
    Exist(bool),
    Not(Box<Node>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
}

/// Where a value must stand to hold a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Above,
    AboveOrAt,
    Below,
    BelowOrAt,
}

/// What a value is compared with; only a value of the same type can hold.
#[derive(Clone, Debug)]
enum Limit {
    Number(Number),
    Text(Box<str>),
}

/// What a value is deeply equal to. The members of an object are sorted and differ.
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

/// Longest text of a filter, in bytes.
pub(crate) const BYTES_MAX: usize = 16 << 10;

/// Deepest nesting of a filter's arrays and objects; `{}` has one level.
pub(crate) const LEVELS_MAX: usize = 16;

/// As many faults of one filter are told.
pub(crate) const REFUSALS_MAX: usize = 20;
