//! The schemas of types, gathered as components of one document.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

use super::operation::Form;

/// Types that were asked for: of bodies that are read, and of answers that are printed. A type may look otherwise in either.
pub(super) struct Schemas {
    taken: SchemaGenerator,
    answered: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = PATH.into());
        let (taken, answered) = (settings.clone().for_deserialize(), settings.for_serialize());
        Self { taken: taken.into_generator(), answered: answered.into_generator() }
    }

    /// The schema of a body that a call takes, or a reference to it.
    pub(super) fn taken(&mut self, form: Form) -> Value {
        plain(form(&mut self.taken))
    }

    /// The schema of an answer, or a reference to it.
    pub(super) fn answered(&mut self, form: Form) -> Value {
        plain(form(&mut self.answered))
    }

    /// All types that were referred to, by their names. Panics when two of them have one name.
    pub(super) fn finish(mut self) -> Map<String, Value> {
        let mut all = Map::new();
        for (name, mut schema) in self.taken.take_definitions(true).into_iter().chain(self.answered.take_definitions(true)) {
            tidy(&mut schema);
            let known = all.insert(name.clone(), schema.clone());
            assert!(
                known.is_none_or(|known| known == schema),
                "two types have the name {name}: rename one with `schemars(rename)`"
            );
        }
        all
    }
}

fn plain(schema: Schema) -> Value {
    let mut schema = schema.to_value();
    tidy(&mut schema);
    schema
}

/// Makes the texts of Rust's documentation readable without it: links become code, and lines become a paragraph.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == "description" => *text = readable(text),
                    value => tidy(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn readable(text: &str) -> String {
    let paragraphs: Vec<String> = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
    paragraphs.join("\n\n").replace("[`", "`").replace("`]", "`")
}

const PATH: &str = "/components/schemas";
