//! Which function shows each page, and which does what a form asks for.

use bytes::Bytes;
use http::Method;
use percent_encoding::percent_decode_str;

use super::table::{Name, Page};
use super::visit::{Visit, name};
use super::webhook::{edit, question};
use super::{deliveries, delivery, event, html, webhook, webhooks};
use crate::api::request::auth::Caller;
use crate::api::request::context::Context;
use crate::api::request::route::{Call, Need};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::resource::Resource;
use crate::ui::frame::Viewer;

impl Visit<'_> {
    /// Answers the request; what is wrong is a page too. `known` is the viewer, whatever tenants the request names, and `caller` is the
    /// viewer with those tenants.
    pub(super) async fn answer(&self, page: Page, known: &Caller, caller: Result<Caller, Problem>) -> Reply {
        let given = caller.as_ref().ok().and_then(|caller| self.scope_of(caller));
        let name = name(self.session.by, known);
        let viewer = self.viewer(&name, known, given.as_deref());
        match caller {
            Ok(caller) => self.page(page, &viewer, caller).await,
            Err(problem) => Err(problem),
        }
        .unwrap_or_else(|problem| html::within(&viewer, &problem))
    }

    async fn page(&self, page: Page, viewer: &Viewer<'_>, caller: Caller) -> Result<Reply, Problem> {
        if self.asked.head.method == Method::POST && !self.is_of_session() {
            return Err(Problem::Forbidden(OLD_FORM.into()));
        }
        caller.may(page.need.unwrap_or(Need::Operator), self.asked.way.entrance)?;
        let id = percent_decode_str(self.id).decode_utf8().map_err(|_| Problem::NotFound(Resource::Path))?;
        let context = self.context(caller, &id);
        match page.name {
            Name::SetTheme => Ok(self.set_theme()),
            Name::Home => Ok(html::see_other(&viewer.links().to("/ui/deliveries", &[]))),
            Name::Deliveries => deliveries::show(self, viewer, &context).await,
            Name::Delivery => delivery::show(self, viewer, &context).await,
            Name::RetryDelivery => {
                let to = viewer.links().to(&html::path("/ui/deliveries", &id), &[("done", "retry")]);
                self.act(Call::RetryDelivery, context, &to).await
            }
            Name::Event => event::show(self, viewer, &context).await,
            Name::Webhooks => webhooks::show(self, viewer, &context).await,
            Name::Webhook => webhook::show(self, viewer, &context).await,
            Name::NewWebhook => edit::new(self, viewer, &context).await,
            Name::AddWebhook => edit::add(self, viewer, context).await,
            Name::EditWebhook => edit::edit(self, viewer, &context).await,
            Name::ChangeWebhook => edit::change(self, viewer, context).await,
            Name::AskRotate => question::ask_rotate(self, viewer, &context).await,
            Name::RotateSecret => question::rotate(self, viewer, context).await,
            Name::NewSecret => question::secret(self, viewer, &context).await,
            Name::AskDelete => question::ask_delete(self, viewer, &context).await,
            Name::DeleteWebhook => question::delete(self, viewer, context).await,
            Name::EnableWebhook => {
                let to = viewer.links().to(&html::path("/ui/webhooks", &id), &[("done", "enable")]);
                self.act(Call::EnableWebhook, context, &to).await
            }
            Name::DisableWebhook => {
                let to = viewer.links().to(&html::path("/ui/webhooks", &id), &[("done", "disable")]);
                self.act(Call::DisableWebhook, context, &to).await
            }
            Name::TestWebhook => webhook::test(viewer, &context).await,
            Name::Root | Name::Asset | Name::SignIn | Name::TrySignIn | Name::UseLink | Name::SignOut => {
                Err(Problem::NotFound(Resource::Path))
            }
        }
    }

    /// Does what a call of the API does, with its rights, and goes on to a page that shows what came of it.
    async fn act(&self, call: Call, context: Context<'_>, to: &str) -> Result<Reply, Problem> {
        let context = self.as_call(call, Bytes::new(), context)?;
        self.asked.api.call(call, context).await?;
        Ok(html::see_other(to))
    }
}

const OLD_FORM: &str = "this form is of an earlier session, so nothing was done; go back, load the page again and send it";
