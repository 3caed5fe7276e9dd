use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::domain::event::Attributes;

/// The cases with their values. `filters.txt` says how it is read.
const CASES: &str = include_str!("../../../../tests/vectors/filters.txt");

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap_or_else(|refusals| panic!("{text}: {refusals:?}"))
}

/// The verdict on an event, and the pointer to the part that does not match.
fn judged(filter: &Filter, kind: &str, data: &str, attributes: &Attributes) -> (Verdict, Option<String>) {
    let subject = Subject::read(kind, data.as_bytes(), attributes).expect("JSON");
    let mut judge = Judge::new(&subject);
    (judge.verdict(filter), judge.why(filter))
}

fn verdict(filter: &str, data: &str) -> Verdict {
    judged(&self::filter(filter), "t", data, &Attributes::new()).0
}

#[derive(serde::Deserialize)]
struct Published<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(default)]
    attributes: std::collections::BTreeMap<String, Box<RawValue>>,
}

/// Checks a filter with a value, as one line of the cases expects it.
fn expect(filter: &Filter, is_whole: bool, value: &str, expected: Option<&str>, line: &str) {
    let told = if is_whole {
        let event: Published<'_> = serde_json::from_str(value).expect(line);
        let attributes = event.attributes.iter().map(|(name, value)| (name.clone(), value.get().into())).collect();
        judged(filter, event.r#type, event.data.get(), &attributes)
    } else {
        judged(filter, "t", value, &Attributes::new())
    };
    let verdict = if expected.is_some() { Verdict::Differs } else { Verdict::Matches };
    assert_eq!((told.0, told.1.as_deref()), (verdict, expected), "{}: {line}", filter.text());
}

#[test]
fn filters_match_what_the_cases_say() {
    let (mut now, mut is_whole, mut count) = (filter("{}"), false, 0);
    for line in CASES.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "filter" => (now, is_whole) = (filter(&format!("{{\"data\":{rest}}}")), false),
            "whole" => (now, is_whole) = (filter(rest), true),
            "yes" => expect(&now, is_whole, rest, None, line),
            "no" => {
                let (pointer, value) = rest.split_once(' ').expect(line);
                expect(&now, is_whole, value, Some(pointer), line);
            }
            _ => continue,
        }
        count += usize::from(word == "yes" || word == "no");
    }
    assert!(count > 300, "{count} cases");
}

#[test]
fn a_bad_filter_is_refused_by_its_pointers() {
    for line in CASES.lines() {
        let Some(rest) = line.strip_prefix("refused ") else { continue };
        let pointers: Vec<_> = rest.split(' ').take_while(|word| word.starts_with('/')).collect();
        let text = rest[pointers.iter().map(|pointer| pointer.len() + 1).sum::<usize>().min(rest.len())..].trim();
        let refusals = Filter::parse(text).expect_err(line);
        let told: Vec<_> =
            refusals.iter().map(|refusal| if refusal.pointer.is_empty() { "/" } else { &refusal.pointer }).collect();
        assert_eq!(told, pointers, "{line}: {refusals:?}");
    }
}

#[test]
fn a_refusal_says_what_would_be_right() {
    let reason = |text: &str| Filter::parse(text).expect_err(text)[0].reason.to_string();
    assert_eq!(reason("{\"a\":{\"$startwith\":1}}"), "there is no such operator; did you mean $startsWith?");
    assert!(reason("{\"$regex\":1}").starts_with("there is no such operator; there are $eq, $neq, $gt,"));
    assert_eq!(reason("{\"$in\":1}"), "this operator takes a list");
    assert_eq!(reason("[1"), "this is no JSON: expected `,` or `]` at byte 2");
    assert!(reason("7").starts_with("a filter is a JSON object, such as {"));
}

#[test]
fn a_filter_has_at_most_16_kib_and_16_levels() {
    let of_bytes = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    assert!(Filter::parse(&of_bytes(16 << 10)).is_ok());
    assert_eq!(Filter::parse(&of_bytes((16 << 10) + 1)).expect_err("long")[0].reason, "a filter has at most 16 KiB");
    let of_levels = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert!(Filter::parse(&of_levels(16)).is_ok());
    assert_eq!(Filter::parse(&of_levels(17)).expect_err("deep")[0].reason, "a filter has at most 16 levels");
    assert!(Filter::parse(&format!("{{\"$eq\":{}}}", "[".repeat(15) + &"]".repeat(15))).is_ok());
    assert!(Filter::parse(&format!("{{\"$eq\":{}}}", "[".repeat(16) + &"]".repeat(16))).is_err());
}

#[test]
fn at_most_20_faults_are_reported() {
    let many: Vec<_> = (0..50).map(|index| format!("\"k{index}\":{{\"$no\":1}}")).collect();
    assert_eq!(Filter::parse(&format!("{{{}}}", many.join(","))).expect_err("50 faults").len(), REFUSALS_MAX);
}

/// A stranger's filter must not hold up the writer. This one looks for each of 4,000 items among 300,000.
#[test]
fn a_filter_that_costs_too_much_lets_the_event_through() {
    let items: Vec<_> = (1..3_000).map(|item| item.to_string()).collect();
    let zeros = format!("[{}0]", "0,".repeat(300_000));
    let costly = format!("{{\"data\":{{\"$not\":{{\"$or\":[{}]}}}}}}", items.join(","));
    assert_eq!(verdict(&costly, &zeros), Verdict::Unjudged);
    assert_eq!(judged(&filter(&costly), "t", &zeros, &Attributes::new()).1, None);
    assert_eq!(verdict("{\"data\":0}", &zeros), Verdict::Matches);
    assert_eq!(verdict("{\"data\":1}", &zeros), Verdict::Differs);
}

/// Each of the keys is asked of each of the numbers, although none has members.
#[test]
fn keys_that_lead_nowhere_cost_steps_too() {
    let zeros = format!("[{}0]", "0,".repeat(300_000));
    for part in ["{\"$not\":1}", "{\"$exist\":false}", "{\"$or\":[{\"$exist\":false}]}"] {
        let keys: Vec<_> = (0..300).map(|key| format!("\"k{key}\":{part}")).collect();
        let costly = format!("{{\"data\":{{{},\"z\":1}}}}", keys.join(","));
        assert_eq!(verdict(&costly, &zeros), Verdict::Unjudged, "{part}");
        assert_eq!(judged(&filter(&costly), "t", &zeros, &Attributes::new()).1, None);
    }
}

#[test]
fn one_judge_judges_many_filters() {
    let (attributes, data) = (Attributes::new(), br#"{"a":{"b":[1,2],"c":{"d":3}}}"#);
    let subject = Subject::read("t", data, &attributes).expect("JSON");
    let mut judge = Judge::new(&subject);
    for _ in 0..100 {
        assert_eq!(judge.verdict(&filter(r#"{"data":{"a":{"b":2,"c":{"d":{"$eq":3}}}}}"#)), Verdict::Matches);
        assert_eq!(judge.verdict(&filter(r#"{"data":{"a":{"b":3,"c":{"d":3}}},"type":"t"}"#)), Verdict::Differs);
    }
}

#[test]
fn filters_with_the_same_text_are_equal() {
    assert_eq!(filter("{\"a\":1}"), filter("{\"a\":1}"));
    assert_ne!(filter("{\"a\":1}"), filter("{\"a\": 1}"));
    assert_eq!(format!("{:?}", filter("{}")), "Filter({})");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn filters_do_what_a_plain_reading_of_the_rules_does(filter in any_filter(), data in any_data()) {
        let event = serde_json::json!({"type": "x", "data": data, "attributes": {"b": 1}});
        let attributes = Attributes::from([("b".into(), "1".into())]);
        let told = judged(&self::filter(&filter.to_string()), "x", &data.to_string(), &attributes);
        let expected = plain(&filter, Some(&event));
        prop_assert_eq!(told.0 == Verdict::Matches, expected, "{} on {}", filter, event);
        prop_assert_eq!(told.1.is_none(), expected);
    }

    /// The pointer to the part that did not match must exist in the filter.
    #[test]
    fn the_pointer_of_a_difference_is_in_the_filter(filter in any_filter(), data in any_data()) {
        let (_, why) = judged(&self::filter(&filter.to_string()), "x", &data.to_string(), &Attributes::new());
        prop_assert!(why.is_none_or(|pointer| filter.pointer(&pointer).is_some()));
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    let texts = prop::sample::select(vec!["", "a", "b", "ab", "ba", "é", "x"]);
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..4_i64).prop_map(Value::from),
        (-2..4_i64).prop_map(|half| Value::from(half as f64 / 2.0)),
        texts.prop_map(Value::from),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "type", "data"]).prop_map(String::from)
}

fn any_data() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_filter() -> impl Strategy<Value = Value> {
    let data = prop_oneof![3 => any_node(), 1 => Just(serde_json::json!({}))];
    (data, prop::option::of(any_node()), any::<bool>()).prop_map(|(data, other, is_key)| {
        let mut filter = serde_json::json!({ "data": data });
        if let Some(other) = other {
            let name = if is_key { "attributes" } else { "$not" };
            filter[name] = other;
        }
        filter
    })
}

fn any_node() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![2 => scalar(), 3 => operator().prop_map(|(name, operand)| serde_json::json!({ name: operand }))];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 0..3);
        let logic = prop_oneof![
            inner.clone().prop_map(|node| ("$not", node)),
            several.clone().prop_map(|nodes| ("$and", nodes.into())),
            several.clone().prop_map(|nodes| ("$or", nodes.into())),
        ];
        let keys = prop::collection::btree_map(key(), inner, 0..3);
        let operators = prop::collection::vec(prop_oneof![operator(), logic], 0..2);
        let object = (keys, operators).prop_map(|(keys, operators)| {
            let operators = operators.into_iter().map(|(name, operand)| (name.to_owned(), operand));
            Value::Object(keys.into_iter().chain(operators).collect())
        });
        prop_oneof![1 => several.prop_map(Value::from), 4 => object]
    })
}

fn operator() -> impl Strategy<Value = (&'static str, Value)> {
    let text = prop::sample::select(vec!["", "a", "b", "é"]).prop_map(String::from);
    let limit = prop_oneof![(-2..4_i64).prop_map(Value::from), text.clone().prop_map(Value::from)];
    prop_oneof![
        (prop::sample::select(vec!["$eq", "$neq"]), any_data()),
        (prop::sample::select(vec!["$gt", "$gte", "$lt", "$lte"]), limit),
        (prop::sample::select(vec!["$in", "$nin"]), prop::collection::vec(any_data(), 0..3).prop_map(Value::from)),
        (prop::sample::select(vec!["$startsWith", "$endsWith"]), text.clone().prop_map(Value::from)),
        (prop::sample::select(vec!["$startsWith", "$endsWith"]), prop::collection::vec(text, 0..3).prop_map(Value::from)),
        (Just("$exist"), any::<bool>().prop_map(Value::from)),
    ]
}

/// The rules once more, written plainly and without regard to speed.
fn plain(filter: &Value, value: Option<&Value>) -> bool {
    let members = match (filter, value) {
        (Value::Object(members), _) => members,
        (_, None) => return false,
        (Value::Array(items), Some(value)) => {
            let Some(elements) = value.as_array() else { return false };
            return items.iter().all(|item| elements.iter().any(|element| plain(item, Some(element))));
        }
        (scalar, Some(value)) => return spread(value).iter().any(|value| equal(scalar, value)),
    };
    let has_keys = members.keys().any(|name| !name.starts_with('$'));
    if let (true, Some(Value::Array(elements))) = (has_keys, value) {
        return elements.iter().any(|element| plain(filter, Some(element)));
    }
    if members.is_empty() {
        return value.is_some();
    }
    members.iter().all(|(name, inner)| match name.strip_prefix('$') {
        Some(operator) => plain_operator(operator, inner, value),
        None => plain(inner, value.and_then(|value| value.get(name.as_str()))),
    })
}

fn plain_operator(operator: &str, operand: &Value, value: Option<&Value>) -> bool {
    let parts = operand.as_array().map(Vec::as_slice).unwrap_or_default();
    match (operator, value) {
        ("exist", value) => *operand == Value::Bool(value.is_some()),
        ("not", value) => !plain(operand, value),
        ("or", value) => parts.iter().any(|part| plain(part, value)),
        ("and", None) if parts.is_empty() => false,
        ("and", value) => parts.iter().all(|part| plain(part, value)),
        (_, None) => false,
        ("eq", Some(value)) => spread(value).iter().any(|value| equal(operand, value)),
        ("in", Some(value)) => spread(value).iter().any(|value| parts.iter().any(|part| equal(part, value))),
        ("neq", Some(value)) => differs(std::slice::from_ref(operand), value),
        ("nin", Some(value)) => differs(parts, value),
        ("startsWith", Some(value)) => {
            texts(operand).any(|text| spread(value).iter().any(|value| is_text(value, |v| v.starts_with(text))))
        }
        ("endsWith", Some(value)) => {
            texts(operand).any(|text| spread(value).iter().any(|value| is_text(value, |v| v.ends_with(text))))
        }
        (bound, Some(value)) => spread(value).iter().any(|value| within(bound, operand, value)),
    }
}

/// The value and, for an array, all values in it, however deep.
fn spread(value: &Value) -> Vec<&Value> {
    let inner = value.as_array().into_iter().flatten().flat_map(spread);
    std::iter::once(value).chain(inner).collect()
}

fn differs(operands: &[Value], value: &Value) -> bool {
    let is_any = operands.iter().any(|operand| equal(operand, value));
    !is_any && value.as_array().is_none_or(|elements| elements.iter().any(|element| differs(operands, element)))
}

fn texts(operand: &Value) -> impl Iterator<Item = &str> {
    let list = operand.as_array().map_or_else(|| std::slice::from_ref(operand), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

fn is_text(value: &Value, holds: impl Fn(&str) -> bool) -> bool {
    value.as_str().is_some_and(holds)
}

fn within(bound: &str, operand: &Value, value: &Value) -> bool {
    let numbers = operand.as_f64().zip(value.as_f64()).and_then(|(limit, value)| value.partial_cmp(&limit));
    let order = numbers.or_else(|| operand.as_str().zip(value.as_str()).map(|(limit, value)| value.cmp(limit)));
    order.is_some_and(|order| match bound {
        "gt" => order.is_gt(),
        "gte" => order.is_ge(),
        "lt" => order.is_lt(),
        _ => order.is_le(),
    })
}

fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| equal(one, other)))
        }
        _ => one == other,
    }
}
