//! Reads the text of a filter, and finds every fault in it.

use std::borrow::Cow;

use super::{BYTES_MAX, LEVELS_MAX, Limit, Node, Object, Operand, Operator, REFUSALS_MAX, Scalar, Side, Test};
use crate::domain::json::decimal::{EXPONENT_MAX, Number};
use crate::domain::json::tape::{At, Tape};
use crate::domain::json::{self, Kind};
use crate::domain::refusal::Refusal;
use crate::domain::text::nearest::nearest;

/// Reads the object that makes up a filter.
pub(super) fn root(text: &str) -> Result<Object, Vec<Refusal>> {
    if text.len() > BYTES_MAX {
        return Err(vec![Refusal::new("", format!("a filter has at most {} KiB", BYTES_MAX >> 10))]);
    }
    let tape = Tape::read(text.as_bytes()).map_err(|fault| vec![Refusal::new("", format!("this is no JSON: {fault}"))])?;
    if tape.kind(Tape::ROOT) != Kind::Object {
        return Err(vec![Refusal::new("", NO_OBJECT)]);
    }
    let mut reader = Reader { tape, path: Vec::new(), refusals: Vec::new() };
    let root = reader.object(Tape::ROOT, 0);
    if reader.refusals.is_empty() { Ok(root) } else { Err(reader.refusals) }
}

struct Reader<'a> {
    tape: Tape<'a>,
    /// The pointer's tokens to the place where the reader is.
    path: Vec<String>,
    refusals: Vec<Refusal>,
}

impl<'a> Reader<'a> {
    fn node(&mut self, at: At, depth: usize) -> Node {
        match self.tape.kind(at) {
            Kind::Object => Node::Object(self.object(at, depth)),
            Kind::Array => Node::Items(self.nodes(at, depth)),
            _ => Node::Scalar(self.scalar(at)),
        }
    }

    /// Reads the items of an array, each of which is a filter.
    fn nodes(&mut self, at: At, depth: usize) -> Box<[Node]> {
        self.items(at, depth, Self::node)
    }

    fn items<T>(&mut self, at: At, depth: usize, mut read: impl FnMut(&mut Self, At, usize) -> T) -> Box<[T]> {
        let Some(depth) = self.deeper(depth) else { return Box::default() };
        let elements: Vec<_> = self.tape.elements(at).collect();
        let each = elements.into_iter().enumerate();
        each.map(|(index, at)| self.inside(index.to_string(), |reader| read(reader, at, depth))).collect()
    }

    fn object(&mut self, at: At, depth: usize) -> Object {
        let Some(depth) = self.deeper(depth) else { return Object::default() };
        let (mut operators, mut keys) = (Vec::new(), Vec::new());
        for (name, at) in self.members(at) {
            if name.starts_with('$') {
                let operator = self.inside(name.to_string(), |reader| reader.operator(&name, at, depth));
                operators.extend(operator);
            } else {
                let node = self.inside(name.to_string(), |reader| reader.node(at, depth));
                keys.push((name.into(), node));
            }
        }
        Object { operators: operators.into(), keys: keys.into() }
    }

    /// The members of an object, sorted by name. Of members with one name only the last is kept.
    fn members(&mut self, at: At) -> Vec<(Cow<'a, str>, At)> {
        let pairs: Vec<_> = self.tape.members(at).collect();
        let mut members: Vec<_> = pairs.into_iter().map(|(name, value)| (self.string(name), value)).collect();
        members.reverse();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        members.dedup_by(|(later, _), (earlier, _)| later == earlier);
        members
    }

    fn operator(&mut self, name: &str, at: At, depth: usize) -> Option<Operator> {
        let Some((name, syntax)) = OPERATORS.iter().find(|(known, _)| *known == name) else {
            self.refuse(unknown(name));
            return None;
        };
        let test = match syntax {
            Syntax::Equal => Test::In(Box::new([self.operand(at, depth)])),
            Syntax::Unequal => Test::NotIn(Box::new([self.operand(at, depth)])),
            Syntax::In => Test::In(self.list(at, depth, Self::operand)?),
            Syntax::NotIn => Test::NotIn(self.list(at, depth, Self::operand)?),
            Syntax::Bound(side) => Test::Bound(*side, self.limit(at)?),
            Syntax::StartsWith => Test::StartsWith(self.texts(at, depth)?),
            Syntax::EndsWith => Test::EndsWith(self.texts(at, depth)?),
            Syntax::Exist => Test::Exist(self.flag(at)?),
            Syntax::Not => Test::Not(Box::new(self.node(at, depth))),
            Syntax::And => Test::And(self.list(at, depth, Self::node)?),
            Syntax::Or => Test::Or(self.list(at, depth, Self::node)?),
        };
        Some(Operator { name, test })
    }

    fn operand(&mut self, at: At, depth: usize) -> Operand {
        match self.tape.kind(at) {
            Kind::Array => Operand::Array(self.items(at, depth, Self::operand)),
            Kind::Object => Operand::Object(self.equal_members(at, depth)),
            _ => Operand::Scalar(self.scalar(at)),
        }
    }

    fn equal_members(&mut self, at: At, depth: usize) -> Box<[(Box<str>, Operand)]> {
        let Some(depth) = self.deeper(depth) else { return Box::default() };
        let members = self.members(at).into_iter();
        members
            .map(|(name, at)| {
                let operand = self.inside(name.to_string(), |reader| reader.operand(at, depth));
                (name.into(), operand)
            })
            .collect()
    }

    fn list<T>(&mut self, at: At, depth: usize, read: impl FnMut(&mut Self, At, usize) -> T) -> Option<Box<[T]>> {
        if self.tape.kind(at) == Kind::Array {
            Some(self.items(at, depth, read))
        } else {
            self.refused("this operator takes a list")
        }
    }

    fn limit(&mut self, at: At) -> Option<Limit> {
        match self.tape.kind(at) {
            Kind::Number => self.number(at).map(Limit::Number),
            Kind::String => Some(Limit::Text(self.string(at).into())),
            _ => self.refused("this operator takes a number or a string"),
        }
    }

    fn texts(&mut self, at: At, depth: usize) -> Option<Box<[Box<str>]>> {
        match self.tape.kind(at) {
            Kind::String => Some(Box::new([self.string(at).into()])),
            Kind::Array => self.items(at, depth, |reader, at, _| reader.element_text(at)).into_iter().collect(),
            _ => self.refused("this operator takes a string or a list of strings"),
        }
    }

    fn element_text(&mut self, at: At) -> Option<Box<str>> {
        let is_text = self.tape.kind(at) == Kind::String;
        if is_text { Some(self.string(at).into()) } else { self.refused("this list holds strings") }
    }

    fn flag(&mut self, at: At) -> Option<bool> {
        match self.tape.kind(at) {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => self.refused("this operator takes true or false"),
        }
    }

    fn scalar(&mut self, at: At) -> Scalar {
        match self.tape.kind(at) {
            Kind::True => Scalar::Bool(true),
            Kind::False => Scalar::Bool(false),
            Kind::Number => self.number(at).map_or(Scalar::Null, Scalar::Number),
            Kind::String => Scalar::Text(self.string(at).into()),
            Kind::Null | Kind::Array | Kind::Object => Scalar::Null,
        }
    }

    fn number(&mut self, at: At) -> Option<Number> {
        Number::new(self.tape.raw(at)).or_else(|| self.refused(format!("a number's exponent is at most {EXPONENT_MAX}")))
    }

    /// The text of a string or a name. A text with half of a surrogate pair is a fault, and empty.
    fn string(&mut self, at: At) -> Cow<'a, str> {
        let text = json::unescape_inner(self.tape.raw(at));
        text.or_else(|| self.refused("half of a surrogate pair")).unwrap_or_default()
    }

    /// One level more than `depth`. `None` past [`LEVELS_MAX`], which is a fault.
    fn deeper(&mut self, depth: usize) -> Option<usize> {
        if depth < LEVELS_MAX { Some(depth + 1) } else { self.refused(format!("a filter has at most {LEVELS_MAX} levels")) }
    }

    fn inside<T>(&mut self, token: String, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(token);
        let read = read(self);
        self.path.pop();
        read
    }

    fn refused<T>(&mut self, reason: impl Into<Cow<'static, str>>) -> Option<T> {
        self.refuse(reason);
        None
    }

    fn refuse(&mut self, reason: impl Into<Cow<'static, str>>) {
        if self.refusals.len() < REFUSALS_MAX {
            let refusal = Refusal::new("", reason);
            self.refusals.push(self.path.iter().rev().fold(refusal, |refusal, token| refusal.inside(token)));
        }
    }
}

/// The operand that an operator takes.
#[derive(Clone, Copy)]
enum Syntax {
    Equal,
    Unequal,
    In,
    NotIn,
    Bound(Side),
    StartsWith,
    EndsWith,
    Exist,
    Not,
    And,
    Or,
}

const OPERATORS: [(&str, Syntax); 14] = [
    ("$eq", Syntax::Equal),
    ("$neq", Syntax::Unequal),
    ("$gt", Syntax::Bound(Side::Above)),
    ("$gte", Syntax::Bound(Side::AboveOrAt)),
    ("$lt", Syntax::Bound(Side::Below)),
    ("$lte", Syntax::Bound(Side::BelowOrAt)),
    ("$in", Syntax::In),
    ("$nin", Syntax::NotIn),
    ("$startsWith", Syntax::StartsWith),
    ("$endsWith", Syntax::EndsWith),
    ("$exist", Syntax::Exist),
    ("$not", Syntax::Not),
    ("$and", Syntax::And),
    ("$or", Syntax::Or),
];

fn unknown(name: &str) -> String {
    match nearest(name, OPERATORS.iter().map(|(known, _)| *known)) {
        Some(known) => format!("there is no such operator; did you mean {known}?"),
        None => {
            let known: Vec<_> = OPERATORS.iter().map(|(known, _)| *known).collect();
            format!("there is no such operator; there are {}", known.join(", "))
        }
    }
}

const NO_OBJECT: &str = "a filter is a JSON object, such as {\"data\": {\"amount\": {\"$gt\": 100}}}";
