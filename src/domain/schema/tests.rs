//! What a schema accepts, what is said of data that does not match, and that no schema makes an event wait.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

fn schema(schema: &Value) -> Schema {
    Schema::parse(&schema.to_string()).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

fn refused(schema: &Value) -> Refusal {
    Schema::parse(&schema.to_string()).expect_err("no schema that is taken")
}

fn pointers(schema: &Schema, data: &Value) -> Vec<String> {
    schema.check(data.to_string().as_bytes()).into_iter().map(|refusal| refusal.pointer).collect()
}

/// Calls `look`, and fails when it takes longer than a schema may take on a slow machine without optimization.
fn soon<T>(look: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = look();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    result
}

#[test]
fn data_that_matches_has_no_fault_and_other_data_says_where() {
    let order = schema(&json!({
        "type": "object",
        "required": ["id", "lines"],
        "properties": {
            "id": { "type": "string", "pattern": "^ord_[0-9]+$" },
            "lines": { "type": "array", "items": { "$ref": "#/$defs/line" }, "uniqueItems": true },
        },
        "$defs": { "line": { "properties": { "count": { "type": "integer", "minimum": 1 }, "a/b~": { "const": 1 } } } },
    }));
    assert_eq!(pointers(&order, &json!({ "id": "ord_1", "lines": [{ "count": 1 }, {}] })), [""; 0]);
    assert_eq!(
        pointers(&order, &json!({ "id": 7, "lines": [{ "count": 0 }, { "a/b~": 2 }] })),
        ["/id", "/lines/0/count", "/lines/1/a~1b~0"]
    );
    assert_eq!(pointers(&order, &json!({ "id": "ord_x", "lines": [1, 1] })), ["/id", "/lines"]);
    assert_eq!(pointers(&order, &json!(null)), [""]);
    let missing = order.check(b"{\"id\":\"ord_1\"}");
    assert_eq!((missing[0].pointer.as_str(), &*missing[0].reason), ("", "\"lines\" is a required property"));
}

#[test]
fn a_reason_holds_no_value_of_the_data() {
    let secret = schema(&json!({ "properties": { "a": { "enum": [1, 2] }, "b": { "maxLength": 2 }, "c": { "type": "null" } } }));
    for refusal in secret.check(br#"{"a":"sesame","b":"sesame","c":{"d":"sesame"}}"#) {
        assert!(!refusal.reason.contains("sesame") && refusal.reason.len() <= REASON_BYTES_MAX, "{refusal:?}");
    }
}

#[test]
fn at_most_twenty_places_are_told() {
    let numbers = schema(&json!({ "items": { "type": "number" } }));
    assert_eq!(pointers(&numbers, &json!(vec!["x"; 100])).len(), REFUSALS_MAX);
}

#[test]
fn both_drafts_are_read_and_no_other() {
    let tuple =
        json!({ "$schema": "http://json-schema.org/draft-07/schema#", "items": [{ "type": "string" }, { "type": "null" }] });
    assert_eq!(pointers(&schema(&tuple), &json!(["a", 1])), ["/1"]);
    let tuple = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "prefixItems": [{ "type": "string" }] });
    assert_eq!(pointers(&schema(&tuple), &json!([1])), ["/0"]);
    for other in [json!("http://json-schema.org/draft-04/schema#"), json!("https://example.com/mine"), json!(7)] {
        assert_eq!(refused(&json!({ "$schema": other })).pointer, "/$schema");
    }
}

#[test]
fn a_text_that_is_no_schema_is_refused_with_its_place() {
    for (text, pointer) in [
        ("{\"type\":\"strin\"}", "/type"),
        ("{\"properties\":{\"a\":{\"minimum\":\"1\"}}}", "/properties/a/minimum"),
        ("[]", ""),
        ("7", ""),
        ("{", ""),
        ("{\"maximum\":1e999}", ""),
    ] {
        assert_eq!(Schema::parse(text).expect_err(text).pointer, pointer, "{text}");
    }
    assert!(Schema::parse("true").is_ok() && Schema::parse("{}").is_ok());
    let comment = |bytes: usize| json!({ "$comment": "x".repeat(bytes) }).to_string();
    assert!(Schema::parse(&comment(BYTES_MAX - 20)).is_ok());
    assert!(Schema::parse(&comment(BYTES_MAX)).expect_err("too long").reason.contains("262144"));
}

#[test]
fn references_lead_into_the_schema_alone() {
    for (reference, says) in [
        ("https://example.com/a.json", "begins with #"),
        ("file:///etc/passwd", "begins with #"),
        ("other.json#/a", "begins with #"),
        ("#/$defs/none", "refers to nothing"),
        ("#none", "refers to nothing"),
    ] {
        let refusal = refused(&json!({ "properties": { "a": { "$ref": reference } } }));
        assert_eq!(refusal.pointer, "/properties/a/$ref", "{reference}");
        assert!(refusal.reason.contains(says), "{refusal:?}");
    }
    let anchored = json!({ "$id": "https://example.com/s", "items": { "$ref": "#a" }, "$defs": { "x": { "$anchor": "a", "type": "null" } } });
    assert_eq!(pointers(&schema(&anchored), &json!([1])), ["/0"]);
    let quoted = json!({ "items": { "$ref": "#/$defs/a%20b" }, "$defs": { "a b": { "type": "null" } } });
    assert_eq!(pointers(&schema(&quoted), &json!([1])), ["/0"]);
    assert_eq!(refused(&json!({ "$defs": { "a": { "$id": "https://example.com/a" } } })).pointer, "/$defs/a/$id");
    assert_eq!(refused(&json!({ "$dynamicRef": "#a" })).pointer, "/$dynamicRef");
}

#[test]
fn references_in_a_circle_are_refused_unless_they_go_into_the_value() {
    for circle in [
        json!({ "$ref": "#" }),
        json!({ "not": { "$ref": "#" } }),
        json!({ "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "allOf": [{ "$ref": "#/$defs/a" }] } } }),
    ] {
        assert!(refused(&circle).reason.contains("leads back to itself"), "{circle}");
    }
    let tree = schema(&json!({ "type": "object", "properties": { "left": { "$ref": "#" }, "right": { "$ref": "#" } } }));
    assert_eq!(pointers(&tree, &json!({ "left": { "right": { "left": 7 } } })), ["/left/right/left"]);
}

/// `levels` schemas, each of which refers to the next one twice.
fn doubling(levels: usize, last: &Value) -> Value {
    let mut kept: serde_json::Map<String, Value> = (0..levels)
        .map(|level| {
            let next = json!({ "$ref": format!("#/$defs/a{}", level + 1) });
            (format!("a{level}"), json!({ "allOf": [next, next] }))
        })
        .collect();
    kept.insert(format!("a{levels}"), last.clone());
    json!({ "$ref": "#/$defs/a0", "$defs": kept })
}

#[test]
fn a_schema_that_looks_at_a_value_in_very_many_ways_is_refused() {
    assert!(pointers(&schema(&doubling(6, &json!({ "type": "null" }))), &json!(null)).is_empty());
    for levels in [12, 30, 60] {
        let refusal = soon(|| refused(&doubling(levels, &json!(true))));
        assert!(refusal.reason.contains("ways") || levels == 60, "{refusal:?}");
    }
    let row: serde_json::Map<_, _> =
        (0..5_000).map(|at| (format!("a{at}"), json!({ "$ref": format!("#/$defs/a{}", (at + 1) % 5_000) }))).collect();
    assert!(soon(|| refused(&json!({ "$defs": row, "$ref": "#/$defs/a0" }))).reason.contains("nested too deeply"));
}

#[test]
fn a_choice_between_many_kinds_of_object_is_taken() {
    let kinds: Vec<_> =
        (0..500).map(|kind| json!({ "properties": { "kind": { "const": kind } }, "required": ["kind"] })).collect();
    let choice = schema(&json!({ "items": { "oneOf": kinds } }));
    let data: Vec<_> = (0..500).map(|kind| json!({ "kind": kind })).collect();
    assert_eq!(pointers(&choice, &json!(data)), [""; 0]);
    assert_eq!(pointers(&choice, &json!([{ "kind": 500 }])), ["/0"]);
}

#[test]
fn data_that_takes_too_many_steps_is_given_up() {
    let tree = json!({ "anyOf": [
        { "properties": { "a": { "$ref": "#" } }, "required": ["x"] },
        { "properties": { "a": { "$ref": "#" } }, "required": ["y"] },
    ] });
    let deep = (0..100).fold(json!({}), |inner, _| json!({ "a": inner }));
    assert_eq!(soon(|| pointers(&schema(&tree), &deep)), [""]);
    let patterns: serde_json::Map<_, _> = (0..64).map(|at| (format!("^{at}x"), json!(false))).collect();
    let names: serde_json::Map<_, _> = (0..60_000).map(|at| (format!("n{at}"), json!(0))).collect();
    let refusals = soon(|| schema(&json!({ "patternProperties": patterns })).check(json!(names).to_string().as_bytes()));
    assert_eq!(refusals, [Refusal::new("", DATA_TOO_MUCH)]);
    let listed: Vec<_> = (0..10_000).map(|at| json!({ "a": at })).collect();
    let many = json!(vec![json!({ "a": -1 }); 20_000]);
    assert_eq!(soon(|| pointers(&schema(&json!({ "items": { "enum": listed } })), &many)), [""]);
}

#[test]
fn data_that_goes_deeper_than_the_stack_is_given_up() {
    let mut inner = json!({ "properties": { "a": { "$ref": "#" } }, "additionalProperties": false });
    for _ in 0..30 {
        inner = json!({ "allOf": [inner] });
    }
    let deep = (0..120).fold(json!({}), |inner, _| json!({ "a": inner }));
    let tree = schema(&inner);
    let looked = std::thread::Builder::new().stack_size(2 << 20).spawn(move || pointers(&tree, &deep));
    let found = looked.expect("a thread").join().expect("the stack is enough");
    assert!(found.is_empty() || found == [""], "{found:?}");
}

#[test]
fn a_pattern_is_matched_in_linear_time_or_refused() {
    let nested = schema(&json!({ "pattern": "^(a+)+$" }));
    assert_eq!(soon(|| pointers(&nested, &json!(format!("{}!", "a".repeat(100_000))))), [""]);
    for pattern in ["(?=a)b", "(a)\\1", "[", "(\\w{100}){100}"] {
        assert_eq!(refused(&json!({ "items": { "pattern": pattern } })).pointer, "/items/pattern", "{pattern}");
    }
}

#[test]
fn a_schema_with_more_than_64_different_patterns_is_refused() {
    let named = |count: usize| (0..count).map(|at| (format!("^{at}x"), json!(true))).collect::<serde_json::Map<_, _>>();
    let listed = |count: usize| (0..count).map(|at| json!({ "pattern": format!("^{at}y") })).collect::<Vec<_>>();
    schema(&json!({ "patternProperties": named(64) }));
    assert_eq!(refused(&json!({ "patternProperties": named(65) })).pointer, "/patternProperties/^9x");
    assert_eq!(refused(&json!({ "prefixItems": listed(65) })).pointer, "/prefixItems/64/pattern");
    let both = refused(&json!({ "items": { "prefixItems": listed(40) }, "patternProperties": named(40) }));
    assert!(both.pointer == "/items/prefixItems/24/pattern" && both.reason.contains("64"), "{both:?}");
    schema(&json!({ "prefixItems": vec![json!({ "pattern": "^[0-9]+$" }); 1_000] }));
}

#[test]
fn a_schema_of_full_length_and_depth_is_read_in_time() {
    let nested = |levels: usize| format!("{}{{}}{}", "{\"items\":".repeat(levels), "}".repeat(levels));
    assert!(soon(|| Schema::parse(&nested(100))).is_ok());
    assert!(soon(|| Schema::parse(&nested(200))).is_err());
    let wide: serde_json::Map<_, _> = (0..9_000).map(|at| (format!("p{at}"), json!({ "type": "string" }))).collect();
    let wide = json!({ "properties": wide }).to_string();
    assert!(wide.len() < BYTES_MAX && soon(|| Schema::parse(&wide)).is_ok());
}

#[test]
fn a_stored_schema_is_compiled_when_it_is_used() {
    let stored = Schema::from_stored("{\"type\":\"null\"}".into());
    assert_eq!(pointers(&stored, &json!(1)), [""]);
    assert_eq!((stored.text(), format!("{stored:?}")), ("{\"type\":\"null\"}", "Schema(15 bytes)".to_owned()));
    assert_eq!(stored, schema(&json!({ "type": "null" })));
    let unknown = Schema::from_stored("{\"type\":\"nil\"}".into());
    assert_eq!(pointers(&unknown, &json!(1)), [""; 0], "what cannot be compiled says nothing of data");
}

#[test]
fn numbers_that_no_schema_can_judge_are_told() {
    assert_eq!(schema(&json!({})).check(b"[1e999]").len(), 1);
}
