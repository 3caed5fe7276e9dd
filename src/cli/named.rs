//! Webhooks and keys as a person names them: by an id, or by a name that must belong to one of them alone.

use std::fmt;
use std::str::FromStr;

use super::output::exit::Failure;
use super::output::hint::Hint;
use super::output::words::{count, one_line};

/// An id or a name as it was typed. It is never blank, since a blank name would mean every thing without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The id, if exactly one `noun` has this name. Else the failure, with `list` as the command that shows what there is.
    pub(crate) fn only(&self, ids: &[&str], noun: &str, list: Hint) -> Result<String, Failure> {
        match ids {
            [id] => Ok((*id).to_owned()),
            [] => Err(Failure::negative(format!("no {noun} is named `{self}`"), list)),
            several => {
                let many = count(several.len() as u64, noun);
                Err(Failure::usage(format!("{many} are named `{self}`: {}; name one by its id", several.join(", ")), list))
            }
        }
    }
}

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() { Err("it is blank") } else { Ok(Self(text.to_owned())) }
    }
}

/// Prints the name for a message: in one line of at most [`SHOWN_CHARACTERS_MAX`] characters.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.0, SHOWN_CHARACTERS_MAX))
    }
}

/// Characters of a name that a message shows.
const SHOWN_CHARACTERS_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::exit::Exit;
    use crate::cli::output::hint::Called;

    #[test]
    fn a_blank_name_is_refused() {
        assert!("billing".parse::<Name>().is_ok());
        for blank in ["", " ", "\t\n"] {
            assert!(blank.parse::<Name>().is_err(), "{blank:?}");
        }
    }

    #[test]
    fn a_name_of_several_things_is_refused_with_their_ids() {
        let name: Name = "a".parse().expect("a name");
        let only = |ids: &[&str]| name.only(ids, "webhook", Hint::tenants("webhooks list"));
        assert_eq!(only(&["wh_1"]).as_deref(), Ok("wh_1"));
        assert_eq!(only(&[]).expect_err("none").exit, Exit::Negative);
        let two = only(&["wh_1", "wh_2"]).expect_err("two");
        assert_eq!(two.exit, Exit::Usage);
        assert!(two.human(&Called::default()).contains("2 webhooks are named `a`: wh_1, wh_2; name one by its id"), "{two:?}");
    }
}
