//! Problems: why a request was not done (RFC 9457).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Why a request was not done (RFC 9457).
// Whatever is missing in it is read as empty, so that no answer of another version hides why it was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct Problem<'a> {
    /// The address of the page about problems of this type.
    #[serde(rename = "type")]
    pub(crate) kind: Cow<'a, str>,
    /// The status in words.
    pub(crate) title: Cow<'a, str>,
    pub(crate) status: u16,
    /// What was wrong and what to try, for a person.
    pub(crate) detail: Cow<'a, str>,
    /// The kind of thing that does not exist, where that is the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missing: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<Wrong<'a>>,
}

/// One of several things that are wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ProblemItem"))]
#[serde(untagged)]
pub(crate) enum Wrong<'a> {
    /// Of the request.
    Field {
        /// A JSON pointer into the body (RFC 6901), or a query parameter as `?name`.
        pointer: Cow<'a, str>,
        detail: Cow<'a, str>,
    },
    /// Of the config file that a reload did not take.
    Config {
        detail: Cow<'a, str>,
        /// File, line and column.
        place: Option<String>,
        /// What can be pasted to mend it.
        r#try: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_read_as_it_is_printed() {
        let field = Wrong::Field { pointer: "/url".into(), detail: "is no URL".into() };
        let config = Wrong::Config { detail: "no such key".into(), place: Some("a.toml:3:1".into()), r#try: None };
        let problem = Problem {
            kind: "/p".into(),
            title: "T".into(),
            status: 422,
            detail: "d".into(),
            missing: None,
            errors: vec![field, config],
        };
        let printed = serde_json::to_string(&problem).unwrap();
        let expected = r#"{"type":"/p","title":"T","status":422,"detail":"d","errors":[{"pointer":"/url","detail":"is no URL"},{"detail":"no such key","place":"a.toml:3:1","try":null}]}"#;
        assert_eq!(printed, expected);
        assert_eq!(serde_json::from_str::<Problem<'_>>(&printed).unwrap(), problem);
    }

    #[test]
    fn a_problem_of_another_version_is_read_as_far_as_it_goes() {
        let read: Problem<'_> =
            serde_json::from_str(r#"{"detail":"d","type":"x","errors":[{"pointer":"/a","detail":"b","more":1}]}"#).unwrap();
        assert_eq!((&*read.detail, read.status, read.errors.len()), ("d", 0, 1));
    }
}
