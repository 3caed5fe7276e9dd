//! Links within the dashboard. Each carries the scope: the tenants that the viewer looks at.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Makes links to pages of the dashboard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Links<'a> {
    /// `PROVIDER/TENANT` or `PROVIDER/*`. `None`: everything that the viewer may see.
    pub(crate) scope: Option<&'a str>,
}

impl Links<'_> {
    /// The link to a page, by its path and the parameters that are not empty.
    pub(crate) fn to(self, path: &str, parameters: &[(&str, &str)]) -> String {
        let scope = ("in", self.scope.unwrap_or_default());
        let given = parameters.iter().chain([&scope]).filter(|(_, value)| !value.is_empty());
        let mut link = path.to_owned();
        for (at, (name, value)) in given.enumerate() {
            link.push(if at == 0 { '?' } else { '&' });
            link.push_str(name);
            link.push('=');
            link.extend(utf8_percent_encode(value, IN_QUERY));
        }
        link
    }

    /// The link to the page of one thing, by its id.
    pub(crate) fn to_one(self, folder: &str, id: &str) -> String {
        self.to(&format!("{folder}/{}", utf8_percent_encode(id, IN_PATH)), &[])
    }
}

/// What stands for itself neither in a part of a path nor in HTML (RFC 3986 section 3.3).
const IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'/').add(b'<').add(b'>').add(b'?').add(b'\\');

/// What stands for itself in no value of a query. The slash of a scope does.
const IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'+').add(b'<').add(b'>').add(b'\\');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_carries_the_scope_and_what_is_given() {
        let links = Links { scope: Some("acme/t1") };
        assert_eq!(links.to("/ui/deliveries", &[("status", "failed"), ("type", "")]), "/ui/deliveries?status=failed&in=acme/t1");
        assert_eq!(Links::default().to("/ui/", &[]), "/ui/");
        assert_eq!(Links::default().to_one("/ui/events", "a/b?c"), "/ui/events/a%2Fb%3Fc");
    }

    #[test]
    fn no_value_breaks_out_of_its_parameter() {
        assert_eq!(Links::default().to("/ui/", &[("q", "a&b=\"<#é")]), "/ui/?q=a%26b=%22%3C%23%C3%A9");
    }
}
