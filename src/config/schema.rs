//! The JSON Schema (2020-12) of a config file, for editors and whatever writes configs.
//!
//! It is made by reading a config that has every table once, and noting what the reader asks for. What only the whole of a config can
//! tell, as that a name is there twice, it does not know: `hookwheel check` does.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::checked::Setting;
use super::fault::Faults;
use super::source::document::{self, within};
use super::source::gather::Gathered;
use super::source::shape::{Asked, Shape};
use crate::domain::units::duration_text;

/// The schema of a config file: of the main one and of those in `conf.d`.
pub(crate) fn schema() -> Value {
    let mut faults = Faults::recording();
    let root = document::parse(Path::new("hookwheel.toml"), EVERY_TABLE, &mut faults).unwrap_or_default();
    let gathered = Gathered { root, ..Gathered::nothing() };
    let config = super::check(gathered, &[], &mut faults);
    let book = Book { asked: faults.asked(), defaults: &config.settings };
    let mut schema = book.table("");
    let head = [
        ("$schema", "https://json-schema.org/draft/2020-12/schema"),
        ("title", "hookwheel.toml"),
        ("description", "The config of hookwheel; `hookwheel check` also finds what no schema can tell."),
    ];
    schema.extend(head.map(|(key, value)| (key.to_owned(), value.into())));
    Value::Object(schema)
}

/// What was recorded, while it is written down.
struct Book<'a> {
    asked: Asked,
    defaults: &'a [Setting],
}

impl Book<'_> {
    fn table(&self, path: &str) -> Map<String, Value> {
        let keys = self.asked.keys(path).into_iter().flatten();
        let properties: Map<_, _> = keys.map(|(key, shape)| (key.clone(), self.property(path, key, shape))).collect();
        let required: Vec<_> = properties.keys().filter(|key| self.is_required(path, key)).cloned().collect();
        let mut table = Map::new();
        table.insert("type".into(), "object".into());
        if !required.is_empty() {
            table.insert("required".into(), required.into());
        }
        table.insert("properties".into(), properties.into());
        table.insert("additionalProperties".into(), false.into());
        table
    }

    /// What a dialect lacks, the one that it extends may have.
    fn is_required(&self, path: &str, key: &str) -> bool {
        !path.starts_with(DIALECT) && self.asked.is_required(path, key)
    }

    fn property(&self, path: &str, key: &str, shape: &Shape) -> Value {
        let inner = within(path, key);
        let mut value = self.shape(shape, &inner);
        let default = self.defaults.iter().find(|setting| setting.name == inner).and_then(|setting| parsed(&setting.value));
        if let (Value::Object(property), Some(default)) = (&mut value, default) {
            property.insert("default".into(), default);
        }
        value
    }

    fn shape(&self, shape: &Shape, path: &str) -> Value {
        match shape {
            Shape::Any => json!({}),
            Shape::Text => json!({ "type": "string" }),
            Shape::Path => json!({ "type": "string", "minLength": 1 }),
            Shape::Label => json!({ "type": "string", "minLength": 1, "maxLength": 64 }),
            Shape::Id => json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" }),
            Shape::Words(words) => json!({ "enum": words }),
            Shape::Boolean => json!({ "type": "boolean" }),
            Shape::Integer(range) => {
                json!({ "type": "integer", "minimum": number(*range.start()), "maximum": number(*range.end()) })
            }
            Shape::Number(range) => json!({ "type": "number", "minimum": range.start(), "maximum": range.end() }),
            Shape::Duration(range) => {
                let (least, most) = (duration_text(*range.start()), duration_text(*range.end()));
                json!({ "type": "string", "pattern": DURATION, "description": format!("a duration from {least} to {most}") })
            }
            Shape::Size(range) => {
                let words = format!("a size from {} to {}", range.start(), range.end());
                json!({ "type": "string", "pattern": SIZE, "description": words })
            }
            Shape::List(of) => json!({ "type": "array", "items": self.shape(of, path) }),
            Shape::Table => Value::Object(self.table(path)),
            Shape::Tables => json!({ "type": "array", "items": self.table(path) }),
            Shape::NamedTables => json!({ "type": "object", "additionalProperties": self.table(DIALECT) }),
            Shape::NamedTexts => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            Shape::NamedCredentials => json!({ "type": "object", "additionalProperties": credential() }),
        }
    }
}

/// A credential itself, or the file that holds it.
fn credential() -> Value {
    let file = json!({
        "type": "object",
        "properties": { "file": { "type": "string", "minLength": 1 } },
        "required": ["file"],
        "additionalProperties": false,
    });
    json!({ "anyOf": [{ "type": "string" }, file] })
}

fn number(value: i128) -> Value {
    i64::try_from(value).map(Value::from).or_else(|_| u64::try_from(value).map(Value::from)).unwrap_or_default()
}

/// A default as the config prints it; empty where there is none.
fn parsed(value: &str) -> Option<Value> {
    let line: toml::Table = toml::from_str(&format!("value = {value}")).ok()?;
    serde_json::to_value(line.get("value")?).ok()
}

/// `0`, or whole numbers with units.
const DURATION: &str = "^(0|([0-9]+(w|d|h|m|s|ms))+)$";

const SIZE: &str = "^[0-9]+(B|KiB|MiB|GiB|TiB)$";

/// The path of the dialect in [`EVERY_TABLE`].
const DIALECT: &str = "dialect.every";

/// Every table once, and the keys that are only asked for where they stand. Keys that must be there are left out, so that the reader
/// says which they are.
const EVERY_TABLE: &str = r#"
[server]
[storage]
backup = {}
[delivery]
[operator]
keys = [{}]
[[provider]]
keys = [{ scopes = [] }]
[[provider.tenant]]
environment = "Production"
keys = [{ scopes = [] }]
[[provider.tenant.webhook]]
[[webhook]]
[dialect.every]
[dialect.every.api]
[dialect.every.event]
[dialect.every.body]
[dialect.every.headers]
[dialect.every.signature]
[dialect.every.delivery]
[dialect.every.disable]
[dialect.every.retry]
exponential = {}
decorrelated_jitter = {}
[[dialect.every.event_type]]
"#;

#[cfg(test)]
mod tests {
    use super::super::table::settings::KEYS;
    use super::*;

    fn keys(schema: &Value, pointer: &str) -> Vec<String> {
        let table = schema.pointer(pointer).and_then(Value::as_object).unwrap_or_else(|| panic!("no {pointer} in {schema:#}"));
        table.keys().cloned().collect()
    }

    #[test]
    fn every_setting_of_the_service_is_in_the_schema() {
        let schema = schema();
        for (section, names) in KEYS {
            let mut names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            names.sort();
            assert_eq!(keys(&schema, &format!("/properties/{section}/properties")), names, "{section}");
        }
    }

    /// A table that the reader goes into and that [`EVERY_TABLE`] lacks would have no keys.
    #[test]
    fn every_table_has_keys() {
        let (schema, mut tables) = (schema(), 0);
        let mut left = vec![("".to_owned(), &schema)];
        while let Some((path, value)) = left.pop() {
            if let Some(properties) = value.get("properties").and_then(Value::as_object) {
                assert!(!properties.is_empty(), "{path} has no keys");
                tables += 1;
            }
            left.extend(value.as_object().into_iter().flatten().map(|(key, inner)| (format!("{path}/{key}"), inner)));
        }
        assert_eq!(tables, 24, "{schema:#}");
    }

    #[test]
    fn a_property_has_its_type_bounds_and_default() {
        let schema = schema();
        let at = |pointer: &str| schema.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(
            at("/properties/delivery/properties/in_flight"),
            json!({ "type": "integer", "minimum": 1, "maximum": 65_535, "default": 4_096 })
        );
        let retention = at("/properties/storage/properties/retention");
        assert_eq!((&retention["default"], &retention["pattern"]), (&json!("7d"), &json!(DURATION)), "{retention}");
        assert_eq!(retention["description"], "a duration from 1s to 3650d");
        assert_eq!(at("/properties/server/properties/log_format/enum"), json!(["auto", "text", "json"]));
        assert_eq!(at("/properties/webhook/items/required"), json!(["events", "name", "url"]));
        assert_eq!(at("/properties/operator/properties/keys/items/properties/scopes"), Value::Null, "an operator's key has none");
        let dialect = "/properties/dialect/additionalProperties";
        assert_eq!(at(&format!("{dialect}/properties/headers/additionalProperties")), json!({ "type": "string" }));
        assert_eq!(at(&format!("{dialect}/required")), Value::Null, "what is missing stands in the base");
    }
}
