//! `?expand=settings`: shows a webhook's settings in a dialect whose answers leave them out.

use crate::api::request::context::Context;
use crate::api::request::params::Query;
use crate::api::response::problem::Problem;

/// Whether an answer shows the settings of its webhooks whatever their dialect says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::api) enum Expand {
    #[default]
    Nothing,
    Settings,
}

/// What a request asks for that takes no other parameter. It is refused before anything is done when it asks for something else.
pub(in crate::api) fn expand(context: &Context<'_>) -> Result<Expand, Problem> {
    let mut query = context.query(&["expand"]);
    let expand = expand_of(&mut query);
    query.finish().map(|()| expand)
}

/// The same for a request that takes other parameters too.
pub(in crate::api) fn expand_of(query: &mut Query) -> Expand {
    let settings = |word: &str| (word == "settings").then_some(Expand::Settings);
    query.read_with("expand", "is not `settings`", settings).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_alone_can_be_asked_for() {
        let asked = |query| {
            let mut query = Query::read(Some(query), &["expand"]);
            let expand = expand_of(&mut query);
            query.finish().map(|()| expand).ok()
        };
        assert_eq!([asked(""), asked("expand=settings")], [Some(Expand::Nothing), Some(Expand::Settings)]);
        assert_eq!([asked("expand="), asked("expand=all"), asked("expands=settings")], [None; 3]);
    }
}
