//! Every page and form of the dashboard as data: its method, its path, and what a viewer must be to see or send it.

use http::Method;
use matchit::Router;

use crate::api::request::route::{Need, Verb};
use crate::api::response::problem::Problem;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Page {
    verb: Verb,
    path: &'static str,
    /// What the viewer must be. `None`: anybody, also without a session.
    pub(super) need: Option<Need>,
    pub(super) name: Name,
}

/// The name of a page or form, by which it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Root,
    Asset,
    SignIn,
    TrySignIn,
    UseLink,
    SignOut,
    SetTheme,
    Home,
    Deliveries,
    Delivery,
    RetryDelivery,
    Event,
    Webhooks,
    NewWebhook,
    AddWebhook,
    Webhook,
    EditWebhook,
    ChangeWebhook,
    AskRotate,
    RotateSecret,
    NewSecret,
    AskDelete,
    DeleteWebhook,
    EnableWebhook,
    DisableWebhook,
    TestWebhook,
}

/// The table, prepared for finding a page by its path. At most one page and one form have the same path.
pub(in crate::api) struct Pages(Router<[Option<Page>; 2]>);

impl Pages {
    pub(in crate::api) fn new() -> Self {
        let mut router: Router<[Option<Page>; 2]> = Router::new();
        for page in PAGES {
            let place = usize::from(page.verb == Verb::Post);
            match router.at_mut(page.path) {
                Ok(known) => known.value[place] = Some(*page),
                Err(_) => {
                    let mut both = [None; 2];
                    both[place] = Some(*page);
                    router.insert(page.path, both).expect("the paths of the table differ");
                }
            }
        }
        Self(router)
    }

    /// Whether a path is one of the dashboard's.
    pub(in crate::api) fn has(&self, path: &str) -> bool {
        path == "/" || path == "/login" || path == "/ui" || path.starts_with("/ui/")
    }

    /// Finds a page, and the id in its path, which is still percent-encoded.
    pub(super) fn find<'p>(&self, method: &Method, path: &'p str) -> Result<(Page, &'p str), Problem> {
        let matched = self.0.at(path).map_err(|_| Problem::NotFound(crate::domain::resource::Resource::Path))?;
        let id = matched.params.get("id").unwrap_or_default();
        let page = match *method {
            Method::GET | Method::HEAD => matched.value[0],
            Method::POST => matched.value[1],
            _ => None,
        };
        page.map(|page| (page, id)).ok_or_else(|| Problem::Method(methods(matched.value).into()))
    }
}

fn methods(both: &[Option<Page>; 2]) -> &'static str {
    match both {
        [Some(_), Some(_)] => "GET, POST",
        [None, _] => "POST",
        _ => "GET",
    }
}

const fn open(verb: Verb, path: &'static str, name: Name) -> Page {
    Page { verb, path, need: None, name }
}

const fn page(verb: Verb, path: &'static str, need: Need, name: Name) -> Page {
    Page { verb, path, need: Some(need), name }
}

/// The table. A new page needs a row here, a name in [`Name`] and an arm in `Visit::answer`.
pub(super) const PAGES: &[Page] = &[
    open(Verb::Get, "/", Name::Root),
    open(Verb::Get, "/ui", Name::Root),
    open(Verb::Get, "/ui/assets/{id}", Name::Asset),
    open(Verb::Get, "/ui/login", Name::SignIn),
    open(Verb::Post, "/ui/login", Name::TrySignIn),
    open(Verb::Get, "/login", Name::UseLink),
    page(Verb::Post, "/ui/logout", Need::Open, Name::SignOut),
    page(Verb::Post, "/ui/theme", Need::Open, Name::SetTheme),
    page(Verb::Get, "/ui/", Need::Read, Name::Home),
    page(Verb::Get, "/ui/deliveries", Need::Read, Name::Deliveries),
    page(Verb::Get, "/ui/deliveries/{id}", Need::Read, Name::Delivery),
    page(Verb::Post, "/ui/deliveries/{id}/retry", Need::Manage, Name::RetryDelivery),
    page(Verb::Get, "/ui/events/{id}", Need::Read, Name::Event),
    page(Verb::Get, "/ui/webhooks", Need::Read, Name::Webhooks),
    page(Verb::Get, "/ui/webhooks/new", Need::Manage, Name::NewWebhook),
    page(Verb::Post, "/ui/webhooks/new", Need::Manage, Name::AddWebhook),
    page(Verb::Get, "/ui/webhooks/{id}", Need::Read, Name::Webhook),
    page(Verb::Get, "/ui/webhooks/{id}/edit", Need::Manage, Name::EditWebhook),
    page(Verb::Post, "/ui/webhooks/{id}/edit", Need::Manage, Name::ChangeWebhook),
    page(Verb::Get, "/ui/webhooks/{id}/rotate", Need::Manage, Name::AskRotate),
    page(Verb::Post, "/ui/webhooks/{id}/rotate", Need::Manage, Name::RotateSecret),
    page(Verb::Get, "/ui/webhooks/{id}/secret", Need::Read, Name::NewSecret),
    page(Verb::Get, "/ui/webhooks/{id}/delete", Need::Manage, Name::AskDelete),
    page(Verb::Post, "/ui/webhooks/{id}/delete", Need::Manage, Name::DeleteWebhook),
    page(Verb::Post, "/ui/webhooks/{id}/enable", Need::Manage, Name::EnableWebhook),
    page(Verb::Post, "/ui/webhooks/{id}/disable", Need::Manage, Name::DisableWebhook),
    page(Verb::Post, "/ui/webhooks/{id}/test", Need::Manage, Name::TestWebhook),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_leads_to_its_own_page() {
        let pages = Pages::new();
        for page in PAGES {
            let path = page.path.replace("{id}", "x_1");
            let method = Method::from_bytes(page.verb.name().as_bytes()).unwrap();
            let (found, id) = pages.find(&method, &path).unwrap();
            assert_eq!((found.name, id.is_empty()), (page.name, path == page.path), "{path}");
            assert!(pages.has(&path), "{path}");
        }
    }

    #[test]
    fn a_change_is_a_form_or_the_page_that_shows_it() {
        let changing = [Need::Manage, Need::Publish, Need::Catalogue, Need::ManageTenants, Need::AdminSocket];
        for page in PAGES.iter().filter(|page| page.need.is_some_and(|need| changing.contains(&need))) {
            let is_form = |other: &Page| other.path == page.path && other.verb == Verb::Post && other.need == page.need;
            assert!(PAGES.iter().any(is_form), "{}", page.path);
        }
    }

    #[test]
    fn unknown_pages_and_methods_are_told() {
        let found = |method, path| Pages::new().find(&method, path).map(|_| ()).unwrap_err();
        assert_eq!(found(Method::GET, "/ui/nothing").status(), 404);
        assert!(matches!(found(Method::PUT, "/ui/login"), Problem::Method(verbs) if verbs == "GET, POST"));
        assert!(matches!(found(Method::GET, "/ui/deliveries/x/retry"), Problem::Method(verbs) if verbs == "POST"));
    }
}
