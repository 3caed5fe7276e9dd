//! Channels: names by which a publisher narrows who of the subscribers gets an event, as in `project-7`.

use crate::domain::json;
use crate::domain::refusal::Refusal;

/// The channels of an event or of a webhook: sorted, each once. The default has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Channels(Box<[Box<str>]>);

impl Channels {
    /// Takes names that were checked before, such as those of a record.
    pub(crate) fn new(names: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        let mut names: Vec<Box<str>> = names.into_iter().map(Into::into).collect();
        names.sort_unstable();
        names.dedup();
        Self(names.into())
    }

    /// Reads a JSON list of 1 to `most` names; `null` stands for none.
    ///
    /// Fails with what is wrong, each fault with its pointer inside the list.
    pub(crate) fn read(raw: &str, most: usize) -> Result<Self, Vec<Refusal>> {
        if raw == "null" {
            return Ok(Self::default());
        }
        let names: Vec<String> = serde_json::from_str(raw).map_err(|_| vec![Refusal::new("", "is not a list of strings")])?;
        if !(1..=most).contains(&names.len()) {
            return Err(vec![Refusal::new("", format!("has {} entries, not 1 to {most}", names.len()))]);
        }
        let wrong = names.iter().enumerate().filter(|(_, name)| !is_channel(name));
        let refusals: Vec<_> = wrong.map(|(index, _)| Refusal::new("", NO_CHANNEL).inside(&index.to_string())).collect();
        if refusals.is_empty() { Ok(Self::new(names)) } else { Err(refusals) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    /// Whether some channel is in both.
    pub(crate) fn share(&self, other: &Self) -> bool {
        self.0.iter().any(|name| other.0.binary_search(name).is_ok())
    }

    /// The channels as a JSON list.
    pub(crate) fn json(&self) -> String {
        let mut bytes = b"[".to_vec();
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                bytes.push(b',');
            }
            json::quote(name, &mut bytes);
        }
        bytes.push(b']');
        String::from_utf8(bytes).expect("quoted text is UTF-8")
    }

    /// How many bytes of memory the channels take.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|name| name.len() + CHANNEL_BYTES).sum()
    }
}

fn is_channel(name: &str) -> bool {
    (1..=CHANNEL_LENGTH_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The most channels of one event.
pub(crate) const OF_EVENT_MAX: usize = 5;

/// The most channels of one webhook.
pub(crate) const OF_WEBHOOK_MAX: usize = 10;

/// What a channel takes of memory besides its text.
pub(crate) const CHANNEL_BYTES: usize = 32;

const CHANNEL_LENGTH_MAX: usize = 128;

const NO_CHANNEL: &str = "is not a channel name: 1 to 128 letters A-Z a-z, digits, `-`, `_` or `.`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_sorted_and_each_is_there_once() {
        let read = Channels::read(r#"["b","a.1","b"]"#, 3).expect("channels");
        assert_eq!((read.json().as_str(), read.iter().len()), (r#"["a.1","b"]"#, 2));
        assert_eq!(Channels::read(&read.json(), 3), Ok(read));
        assert_eq!(Channels::read("null", 3), Ok(Channels::default()));
    }

    #[test]
    fn channels_meet_in_one_name() {
        let of = |names: &[&str]| Channels::new(names.iter().copied());
        assert!(of(&["a", "b"]).share(&of(&["b", "c"])) && !of(&["a"]).share(&of(&["b"])));
        assert!(!of(&[]).share(&of(&["a"])) && !of(&["a"]).share(&of(&[])));
    }

    #[test]
    fn a_wrong_channel_is_told_by_its_place() {
        let told = |raw: &str| {
            let refusals = Channels::read(raw, 2).expect_err(raw);
            refusals.into_iter().map(|refusal| (refusal.pointer, refusal.reason.into_owned())).collect::<Vec<_>>()
        };
        assert_eq!(told(r#"["a b",""]"#), [("/0".into(), NO_CHANNEL.into()), ("/1".into(), NO_CHANNEL.into())]);
        assert_eq!(told("[]"), [(String::new(), "has 0 entries, not 1 to 2".into())]);
        assert_eq!(told(r#"["a","b","c"]"#)[0].1, "has 3 entries, not 1 to 2");
        assert_eq!(told("[1]")[0].1, "is not a list of strings");
        assert!(Channels::read(&format!("[\"{}\"]", "x".repeat(129)), 1).is_err());
    }
}
