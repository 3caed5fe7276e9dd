//! Judges whether an event matches a filter. An event is read once and judged by any number of filters. Judging allocates nothing
//! once the judge has met its widest object.

use std::cmp::Ordering;

use super::{Filter, Limit, Node, Object, Operand, Scalar, Side, Test};
use crate::domain::event::{Attributes, Event};
use crate::domain::json::decimal::Decimal;
use crate::domain::json::tape::{At, Tape};
use crate::domain::json::{Fault, Kind};

/// An event as filters see it: `{"type", "data", "attributes"}`.
pub(crate) struct Subject<'a> {
    tape: Tape<'a>,
}

impl<'a> Subject<'a> {
    /// Reads an event. Fails only when `data` or an attribute is no JSON, which is never so for a published event.
    pub(crate) fn read(kind: &'a str, data: &'a [u8], attributes: &'a Attributes) -> Result<Self, Fault> {
        let mut tape = Tape::default();
        let root = tape.open_object();
        tape.append_text("type");
        tape.append_text(kind);
        tape.append_text("data");
        tape.append(data)?;
        tape.append_text("attributes");
        let object = tape.open_object();
        for (name, value) in attributes {
            tape.append_text(name);
            tape.append(value.as_bytes())?;
        }
        tape.close(object);
        tape.close(root);
        Ok(Self { tape })
    }
}

impl Filter {
    /// Whether the filter lets a published event through. It does when it cannot judge the event.
    pub(crate) fn lets_through(&self, event: &Event) -> bool {
        let data = event.content.data();
        let subject = Subject::read(&event.kind, &data, &event.attributes);
        subject.map_or(true, |subject| Judge::new(&subject).verdict(self) != Verdict::Differs)
    }
}

/// The result of judging an event by a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Matches,
    Differs,
    /// The filter would need more steps than a judge has. Such an event must be delivered: a receiver can ignore an event that it
    /// did not want, but cannot ask for one that it never heard of.
    Unjudged,
}

/// Judges one event by filters.
pub(crate) struct Judge<'a> {
    pub(super) tape: &'a Tape<'a>,
    /// For each object that the judge is inside of, where the members were found that the filter asks for.
    found: Vec<Option<At>>,
    /// The steps of each filter.
    steps: usize,
    steps_left: usize,
}

/// A filter has used up its steps.
pub(super) struct Exhausted;

pub(super) type Judged = Result<bool, Exhausted>;

impl<'a> Judge<'a> {
    /// A judge whose every filter gets [`STEPS_MAX`] steps.
    pub(crate) fn new(subject: &'a Subject<'_>) -> Self {
        Self::of_many(subject, 1)
    }

    /// A judge of an event that many filters judge. They share [`EVENT_STEPS_MAX`] steps evenly, so that an event takes a bounded
    /// time whatever its filters are. Each gets [`STEPS_MIN`] steps at least and [`STEPS_MAX`] at most.
    pub(crate) fn of_many(subject: &'a Subject<'_>, filters: usize) -> Self {
        let steps = (EVENT_STEPS_MAX / filters.max(1)).clamp(STEPS_MIN, STEPS_MAX);
        Self { tape: &subject.tape, found: Vec::new(), steps, steps_left: 0 }
    }

    /// Judges the event by one filter.
    pub(crate) fn verdict(&mut self, filter: &Filter) -> Verdict {
        self.begin();
        match self.object(&filter.root, Some(Tape::ROOT)) {
            Ok(true) => Verdict::Matches,
            Ok(false) => Verdict::Differs,
            Err(Exhausted) => Verdict::Unjudged,
        }
    }

    /// Begins with a further filter, which gets steps of its own.
    pub(super) fn begin(&mut self) {
        self.found.clear();
        self.steps_left = self.steps;
    }

    /// Whether `node` matches the value at `at`. `None` stands for a path that leads nowhere.
    pub(super) fn node(&mut self, node: &Node, at: Option<At>) -> Judged {
        self.spend(1)?;
        match (node, at) {
            (Node::Object(object), at) => self.object(object, at),
            (_, None) => Ok(false),
            (Node::Scalar(scalar), Some(at)) => self.any(at, |judge, at| judge.is_equal(scalar, at)),
            (Node::Items(items), Some(at)) => self.all_contained(items, at),
        }
    }

    fn all_contained(&mut self, items: &[Node], at: At) -> Judged {
        if self.tape.kind(at) != Kind::Array {
            return Ok(false);
        }
        all(items, |item| self.is_contained(item, at))
    }

    /// Whether some element of the array at `at` matches `item`.
    pub(super) fn is_contained(&mut self, item: &Node, at: At) -> Judged {
        let tape = self.tape;
        any(tape.elements(at), |element| self.node(item, Some(element)))
    }

    pub(super) fn object(&mut self, object: &Object, at: Option<At>) -> Judged {
        self.spend(1)?;
        let tape = self.tape;
        if let Some(array) = at.filter(|&at| !object.keys.is_empty() && tape.kind(at) == Kind::Array) {
            return any(tape.elements(array), |element| self.object(object, Some(element)));
        }
        if object.operators.is_empty() && object.keys.is_empty() {
            return Ok(at.is_some());
        }
        Ok(all(&object.operators, |operator| self.test(&operator.test, at))? && self.keys(&object.keys, at)?)
    }

    fn keys(&mut self, keys: &[(Box<str>, Node)], at: Option<At>) -> Judged {
        let members = self.found.len();
        self.find(keys, at)?;
        let holds = all(keys.iter().enumerate(), |(index, (_, node))| {
            let member = self.found[members + index];
            self.node(node, member)
        });
        self.found.truncate(members);
        holds
    }

    /// Finds the value of each key in the object at `at`, and appends them to `found`. Returns how many members have other names.
    /// A value that is no object has no members.
    fn find<T>(&mut self, keys: &[(Box<str>, T)], at: Option<At>) -> Result<usize, Exhausted> {
        let tape = self.tape;
        self.spend(keys.len())?;
        let before = self.found.len();
        self.found.resize(before + keys.len(), None);
        let Some(object) = at.filter(|&at| tape.kind(at) == Kind::Object) else { return Ok(0) };
        let mut others = 0;
        for (name, value) in tape.members(object) {
            self.visit(name)?;
            let name = tape.text(name);
            match keys.binary_search_by(|(key, _)| name.compare(key).reverse()) {
                Ok(index) => self.found[before + index] = Some(value),
                Err(_) => others += 1,
            }
        }
        Ok(others)
    }

    pub(super) fn test(&mut self, test: &Test, at: Option<At>) -> Judged {
        self.spend(1)?;
        match (test, at) {
            (Test::Exist(expected), at) => Ok(at.is_some() == *expected),
            (Test::Not(node), at) => Ok(!self.node(node, at)?),
            (Test::And(nodes), at) if !nodes.is_empty() => all(nodes, |node| self.node(node, at)),
            (Test::Or(nodes), at) => any(nodes, |node| self.node(node, at)),
            (_, None) => Ok(false),
            (Test::And(_), Some(_)) => Ok(true),
            (Test::In(operands), Some(at)) => self.any(at, |judge, at| judge.is_in(operands, at)),
            (Test::NotIn(operands), Some(at)) => self.is_outside(operands, at),
            (Test::Bound(side, limit), Some(at)) => self.any(at, |judge, at| Ok(judge.holds(*side, limit, at))),
            (Test::StartsWith(texts), Some(at)) => {
                self.any(at, |judge, at| judge.has_text(at, texts, |tape, text| tape.text(at).starts_with(text)))
            }
            (Test::EndsWith(texts), Some(at)) => {
                self.any(at, |judge, at| judge.has_text(at, texts, |tape, text| tape.text(at).ends_with(text)))
            }
        }
    }

    /// Whether `holds` is true of the value at `at` or, if that is an array, of some value in it, however deep.
    fn any(&mut self, at: At, holds: impl Fn(&mut Self, At) -> Judged + Copy) -> Judged {
        self.visit(at)?;
        let tape = self.tape;
        let is_array = tape.kind(at) == Kind::Array;
        Ok(holds(self, at)? || (is_array && any(tape.elements(at), |element| self.any(element, holds))?))
    }

    /// Whether the value equals none of the operands. An array must differ as a whole, and some value in it must differ too.
    fn is_outside(&mut self, operands: &[Operand], at: At) -> Judged {
        self.visit(at)?;
        if self.is_in(operands, at)? {
            return Ok(false);
        }
        let tape = self.tape;
        Ok(tape.kind(at) != Kind::Array || any(tape.elements(at), |element| self.is_outside(operands, element))?)
    }

    fn is_in(&mut self, operands: &[Operand], at: At) -> Judged {
        any(operands, |operand| self.equals(operand, at))
    }

    fn equals(&mut self, operand: &Operand, at: At) -> Judged {
        match operand {
            Operand::Scalar(scalar) => self.is_equal(scalar, at),
            Operand::Array(items) => self.equals_array(items, at),
            Operand::Object(members) => self.equals_object(members, at),
        }
    }

    fn equals_array(&mut self, items: &[Operand], at: At) -> Judged {
        self.visit(at)?;
        let tape = self.tape;
        let mut elements = tape.elements(at);
        let is_array = tape.kind(at) == Kind::Array;
        let each = all(items, |item| match elements.next() {
            Some(element) => self.equals(item, element),
            None => Ok(false),
        });
        Ok(is_array && each? && elements.next().is_none())
    }

    fn equals_object(&mut self, members: &[(Box<str>, Operand)], at: At) -> Judged {
        self.visit(at)?;
        if self.tape.kind(at) != Kind::Object {
            return Ok(false);
        }
        let before = self.found.len();
        let others = self.find(members, Some(at))?;
        let each = all(members.iter().enumerate(), |(index, (_, operand))| match self.found[before + index] {
            Some(value) => self.equals(operand, value),
            None => Ok(false),
        });
        self.found.truncate(before);
        Ok(others == 0 && each?)
    }

    fn is_equal(&mut self, scalar: &Scalar, at: At) -> Judged {
        self.visit(at)?;
        Ok(match (scalar, self.tape.kind(at)) {
            (Scalar::Null, Kind::Null) | (Scalar::Bool(true), Kind::True) | (Scalar::Bool(false), Kind::False) => true,
            (Scalar::Number(number), Kind::Number) => Decimal::new(self.tape.raw(at)) == number.decimal(),
            (Scalar::Text(text), Kind::String) => self.tape.text(at).compare(text).is_eq(),
            _ => false,
        })
    }

    fn holds(&self, side: Side, limit: &Limit, at: At) -> bool {
        let order = match (limit, self.tape.kind(at)) {
            (Limit::Number(number), Kind::Number) => Decimal::new(self.tape.raw(at)).cmp(&number.decimal()),
            (Limit::Text(text), Kind::String) => self.tape.text(at).compare(text),
            _ => return false,
        };
        match side {
            Side::Above => order == Ordering::Greater,
            Side::AboveOrAt => order != Ordering::Less,
            Side::Below => order == Ordering::Less,
            Side::BelowOrAt => order != Ordering::Greater,
        }
    }

    fn has_text(&mut self, at: At, texts: &[Box<str>], has: impl Fn(&Tape<'_>, &str) -> bool) -> Judged {
        if self.tape.kind(at) != Kind::String {
            return Ok(false);
        }
        any(texts, |text| {
            self.visit(at)?;
            Ok(has(self.tape, text))
        })
    }

    /// Spends one step for a value, and one for each [`STEP_BYTES`] of its text.
    pub(super) fn visit(&mut self, at: At) -> Result<(), Exhausted> {
        self.spend(1 + self.tape.raw(at).len() / STEP_BYTES)
    }

    fn spend(&mut self, steps: usize) -> Result<(), Exhausted> {
        self.steps_left = self.steps_left.checked_sub(steps).ok_or(Exhausted)?;
        Ok(())
    }
}

/// Whether all items hold. Items after the first that does not hold are not looked at.
fn all<T>(each: impl IntoIterator<Item = T>, mut holds: impl FnMut(T) -> Judged) -> Judged {
    for one in each {
        if !holds(one)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether any item holds. Items after the first that holds are not looked at.
fn any<T>(each: impl IntoIterator<Item = T>, mut holds: impl FnMut(T) -> Judged) -> Judged {
    for one in each {
        if holds(one)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The most steps of one filter, which take some milliseconds. A filter looks at a value in a few steps, and an event of 1 MiB that
/// is made of objects has some 100,000 values, so only a filter that goes through such an event several times comes to it.
pub(super) const STEPS_MAX: usize = 1 << 20;

/// The steps that all filters of one event share: some tens of milliseconds, in which the writer does nothing else.
pub(super) const EVENT_STEPS_MAX: usize = 4 << 20;

/// The steps that a filter gets however many judge the same event: enough to look at an event of some hundred values.
pub(super) const STEPS_MIN: usize = 2 << 10;

/// How many bytes of a long value count as one step.
const STEP_BYTES: usize = 64;
