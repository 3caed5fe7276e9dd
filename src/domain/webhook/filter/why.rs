//! Finds the part of a filter that an event does not match.

use super::matching::{Exhausted, Judge, Judged};
use super::{Filter, Node, Object, Operator, Test};
use crate::domain::json::Kind;
use crate::domain::json::tape::{At, Tape};

impl Judge<'_> {
    /// The pointer (RFC 6901) inside `filter` to the part that the event does not match, as deep as a single part is the cause.
    /// `None` when the event matches or cannot be judged.
    ///
    /// When several parts do not match, it is the first operator, or else the first key in the order of names.
    pub(crate) fn why(&mut self, filter: &Filter) -> Option<String> {
        self.begin();
        if self.object(&filter.root, Some(Tape::ROOT)).unwrap_or(true) {
            return None;
        }
        let mut pointer = String::new();
        self.blame_object(&filter.root, Some(Tape::ROOT), &mut pointer);
        Some(pointer)
    }

    /// Goes on into a part that does not match.
    fn blame(&mut self, node: &Node, at: Option<At>, pointer: &mut String) {
        match (node, at) {
            (Node::Object(object), at) => self.blame_object(object, at, pointer),
            (Node::Items(items), Some(at)) if self.tape.kind(at) == Kind::Array => {
                let missing = self.first(items.iter(), |judge, item| judge.is_contained(item, at));
                missing.into_iter().for_each(|index| push(&index.to_string(), pointer));
            }
            _ => {}
        }
    }

    fn blame_object(&mut self, object: &Object, at: Option<At>, pointer: &mut String) {
        let tape = self.tape;
        if let Some(array) = at.filter(|&at| !object.keys.is_empty() && tape.kind(at) == Kind::Array) {
            return self.blame_elements(object, array, pointer);
        }
        if let Some(index) = self.first(object.operators.iter(), |judge, operator| judge.test(&operator.test, at)) {
            return self.blame_operator(&object.operators[index], at, pointer);
        }
        let looked = self.first(object.keys.iter(), |judge, (key, node)| {
            let member = judge.last_member(at, key)?;
            judge.node(node, member)
        });
        if let Some((key, node)) = looked.map(|index| &object.keys[index]) {
            push(key, pointer);
            let Ok(member) = self.last_member(at, key) else { return };
            self.blame(node, member, pointer);
        }
    }

    /// Goes on into an array. If it has one element, that element is the cause; if it has more, the cause is a key that no
    /// element satisfies.
    fn blame_elements(&mut self, object: &Object, array: At, pointer: &mut String) {
        let tape = self.tape;
        let mut elements = tape.elements(array);
        if let (Some(alone), None) = (elements.next(), elements.next()) {
            return self.blame_object(object, Some(alone), pointer);
        }
        let key = self.first(object.keys.iter(), |judge, (key, node)| {
            for element in tape.elements(array) {
                let member = judge.last_member(Some(element), key)?;
                if judge.node(node, member)? {
                    return Ok(true);
                }
            }
            Ok(false)
        });
        key.into_iter().for_each(|index| push(&object.keys[index].0, pointer));
    }

    fn blame_operator(&mut self, operator: &Operator, at: Option<At>, pointer: &mut String) {
        push(operator.name, pointer);
        let Test::And(nodes) = &operator.test else { return };
        if let Some(index) = self.first(nodes.iter(), |judge, node| judge.node(node, at)) {
            push(&index.to_string(), pointer);
            self.blame(&nodes[index], at, pointer);
        }
    }

    /// The value of a member of the object at `at`, at a step for each member. Of several members with one name it is the last.
    fn last_member(&mut self, at: Option<At>, key: &str) -> Result<Option<At>, Exhausted> {
        let tape = self.tape;
        let Some(object) = at.filter(|&at| tape.kind(at) == Kind::Object) else { return Ok(None) };
        let mut found = None;
        for (name, value) in tape.members(object) {
            self.visit(name)?;
            if tape.text(name).compare(key).is_eq() {
                found = Some(value);
            }
        }
        Ok(found)
    }

    /// The index of the first part that does not hold. `None` when all hold, or when the steps are used up.
    fn first<T>(&mut self, parts: impl Iterator<Item = T>, mut holds: impl FnMut(&mut Self, T) -> Judged) -> Option<usize> {
        for (index, part) in parts.enumerate() {
            match holds(self, part) {
                Ok(true) => {}
                Ok(false) => return Some(index),
                Err(_) => return None,
            }
        }
        None
    }
}

/// Appends a token to a pointer (RFC 6901 section 3).
fn push(token: &str, pointer: &mut String) {
    pointer.push('/');
    pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
}
