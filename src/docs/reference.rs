//! The reference of the API, made of the OpenAPI document: a page for each kind of thing, and the forms of what is taken and answered.

use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::OPENAPI;

/// Where the reference stands.
pub(super) const PATH: &str = "api";

/// The path and title of each page but the index.
pub(super) fn pages() -> impl Iterator<Item = (String, String)> {
    let tags = tags().map(|(name, _)| (format!("{PATH}/{name}"), name.replace('-', " ")));
    tags.map(|(path, name)| (path, capital(&name))).chain([(format!("{PATH}/{FORMS}"), "Forms".to_owned())])
}

/// All calls in a table.
pub(super) fn index() -> String {
    let mut text = HEAD.to_owned();
    for (tag, about) in tags() {
        let _ = write!(text, "\n## {} {{#{tag}}}\n\n{about}\n\n| call | does |\n|---|---|\n", capital(&tag.replace('-', " ")));
        for call in calls().filter(|call| call.is_of(tag)) {
            let _ = writeln!(
                text,
                "| [`{} {}`](/docs/{PATH}/{tag}#{}) | {} |",
                call.method,
                call.path,
                call.text("operationId"),
                call.text("summary")
            );
        }
    }
    text
}

/// The page of a kind of thing, that of all forms, or that of one form. `None`: there is none of this name.
pub(super) fn page(name: &str) -> Option<String> {
    if name == FORMS {
        return Some(forms());
    }
    if let Some(schema) = DOCUMENT["components"]["schemas"].get(name) {
        return Some(form(name, schema));
    }
    let (tag, about) = tags().find(|(tag, _)| *tag == name)?;
    let mut text = format!("# {}\n\n{about}\n", capital(&tag.replace('-', " ")));
    calls().filter(|call| call.is_of(tag)).for_each(|call| call.write(&mut text));
    Some(text)
}

/// One call as the document describes it.
struct Call<'a> {
    method: String,
    path: &'a str,
    operation: &'a Value,
}

impl Call<'_> {
    fn is_of(&self, tag: &str) -> bool {
        self.operation["tags"][0] == tag
    }

    fn text(&self, member: &str) -> &str {
        self.operation[member].as_str().unwrap_or_default()
    }

    fn write(&self, into: &mut String) {
        let _ = write!(into, "\n## {} {{#{}}}\n\n", self.text("summary"), self.text("operationId"));
        let _ = write!(into, "```http\n{} {}\n```\n\n{}\n", self.method, self.path, self.text("description"));
        self.write_parameters(into);
        self.write_body(into);
        self.write_answers(into);
    }

    fn write_parameters(&self, into: &mut String) {
        let parameters = self.operation["parameters"].as_array().into_iter().flatten();
        let mut own = parameters.filter(|parameter| parameter.get("name").is_some()).peekable();
        if own.peek().is_some() {
            into.push_str("\n| parameter | in | is | means |\n|---|---|---|---|\n");
        }
        for parameter in own {
            let [name, place, about] = ["name", "in", "description"].map(|member| parameter[member].as_str().unwrap_or_default());
            let _ = writeln!(into, "| `{name}` | {place} | {} | {} |", kind(&parameter["schema"]), cell(about));
        }
    }

    fn write_body(&self, into: &mut String) {
        let body = &self.operation["requestBody"];
        let Some(content) = body["content"].get(JSON) else { return };
        let may = if body["required"] == false { " It may be left out." } else { "" };
        let _ = write!(into, "\nBody: {}.{may}\n", kind(&content["schema"]));
        write_example(content, into);
    }

    fn write_answers(&self, into: &mut String) {
        into.push_str("\n| answer | is | means |\n|---|---|---|\n");
        let (mut example, mut problems) = (None, Vec::new());
        for (status, response) in self.operation["responses"].as_object().into_iter().flatten() {
            if response.get("$ref").is_some() {
                problems.push(status.as_str());
                continue;
            }
            let content = response["content"].get(JSON);
            let is = content.map_or_else(|| "no JSON".to_owned(), |content| kind(&content["schema"]));
            let is = if response.get("content").is_none() { "nothing".to_owned() } else { is };
            let _ = writeln!(into, "| {status} | {is} | {} |", cell(response["description"].as_str().unwrap_or_default()));
            example = example.or_else(|| content.filter(|content| content.get("example").is_some()));
        }
        if !problems.is_empty() {
            let _ = writeln!(into, "| {} | [a problem](/docs/problems) | it was not done |", problems.join(", "));
        }
        example.into_iter().for_each(|content| write_example(content, into));
    }
}

fn write_example(content: &Value, into: &mut String) {
    if let Some(example) = content.get("example") {
        let _ = write!(into, "\n```json\n{example:#}\n```\n");
    }
}

/// The names of all forms, of which each has a page that the contents do not list.
#[cfg(test)]
pub(super) fn form_names() -> impl Iterator<Item = &'static str> {
    object(&DOCUMENT["components"]["schemas"]).map(|(name, _)| name.as_str())
}

fn forms() -> String {
    let mut text = FORMS_HEAD.to_owned();
    for (name, schema) in object(&DOCUMENT["components"]["schemas"]) {
        let about = schema["description"].as_str().unwrap_or_default();
        let _ = writeln!(text, "| [{name}](/docs/{PATH}/{name}) | {} |", cell(about));
    }
    text
}

/// One form with its members.
fn form(name: &str, schema: &Value) -> String {
    let mut text = format!("# {name}\n\n{}\n", schema["description"].as_str().unwrap_or_default());
    match schema.get("properties") {
        Some(properties) => write_members(schema, properties, &mut text),
        None => _ = writeln!(text, "\nIs {}.", kind_inside(schema)),
    }
    text
}

fn write_members(schema: &Value, properties: &Value, into: &mut String) {
    into.push_str("\n| member | is | means |\n|---|---|---|\n");
    let required = schema["required"].as_array();
    for (name, property) in object(properties) {
        let is_required = required.is_some_and(|required| required.iter().any(|known| known == name));
        let optional = if is_required { "" } else { ", may be absent" };
        let about = cell(property["description"].as_str().unwrap_or_default());
        let _ = writeln!(into, "| `{name}` | {}{optional} | {about} |", kind(property));
    }
}

/// What a value is, in a few words; a named form as a link to it.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return format!("[{name}](/docs/{PATH}/{name})");
    }
    kind_inside(schema)
}

fn kind_inside(schema: &Value) -> String {
    for several in ["anyOf", "oneOf"] {
        if let Some(any) = schema[several].as_array() {
            return any.iter().map(kind).collect::<Vec<_>>().join(" or ");
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| format!("`{}`", word.as_str().unwrap_or_default())).collect::<Vec<_>>().join(", ")
            + &default(schema);
    }
    let kinds: Vec<String> = match &schema["type"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(several) => several.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => vec!["any JSON".into()],
    };
    let named = kinds.iter().map(|one| if one == "array" { list(schema) } else { one.clone() });
    named.collect::<Vec<_>>().join(" or ") + &bounds(schema) + &default(schema)
}

fn list(schema: &Value) -> String {
    format!("list of {}", kind(&schema["items"]))
}

fn bounds(schema: &Value) -> String {
    let range = match (&schema["minimum"], &schema["maximum"]) {
        (least, Value::Number(most)) => {
            format!(" from {} to {most}", if least.is_null() { "0".into() } else { least.to_string() })
        }
        _ => String::new(),
    };
    let format = schema["format"].as_str().filter(|format| format.starts_with("date")).map_or("", |_| ", RFC 3339");
    range + format
}

fn default(schema: &Value) -> String {
    match &schema["default"] {
        Value::Null => String::new(),
        Value::String(text) => format!(", default `{text}`"),
        other => format!(", default {other}"),
    }
}

/// A text for a cell of a table: one line without its bars.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

fn calls() -> impl Iterator<Item = Call<'static>> {
    object(&DOCUMENT["paths"]).flat_map(|(path, methods)| {
        object(methods).map(move |(method, operation)| Call { method: method.to_uppercase(), path, operation })
    })
}

/// The name of each kind of thing, and what is said of it.
fn tags() -> impl Iterator<Item = (&'static str, &'static str)> {
    let tags = DOCUMENT["tags"].as_array().into_iter().flatten();
    tags.filter_map(|tag| Some((tag["name"].as_str()?, tag["description"].as_str()?)))
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn capital(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The document, read when the reference is first asked for.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(OPENAPI).unwrap_or_default());

const JSON: &str = "application/json";
const FORMS: &str = "forms";

const HEAD: &str = "\
# API reference

JSON over HTTP/1.1, and HTTP/2 where the listener has TLS. Every call over the network has a key, as `Authorization: Bearer KEY` or \
`X-API-Key: KEY`, but for health and documentation. Operators and providers name a tenant by the header \
`Hookwheel-Tenant: PROVIDER/TENANT`. Errors are [problems](/docs/problems). Lists take `limit` and `cursor`, and answer `data` and `next`. \
Programs read [the OpenAPI document](/openapi.json), from which these pages are made.
";

const FORMS_HEAD: &str = "\
# Forms

What calls take and answer. Further members may be added at any time, so a reader passes over what it does not know.

| form | is |
|---|---|
";
