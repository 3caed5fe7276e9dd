//! Links by which an operator signs in to the dashboard.

use http::StatusCode;

use crate::api::document::key::LoginLink;
use crate::api::pages::session::LINK_LASTS;
use crate::api::request::context::Context;
use crate::api::request::params::Form;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::clock;

/// `POST /v1/admin/login-links`: a link that signs its first user in as the operator. Only who may open the admin socket gets one.
pub(crate) fn create(context: &Context<'_>) -> Result<Reply, Problem> {
    Form::read_or_empty(&context.body, &[])?.finish()?;
    let token = context.api.sessions.link(context.way.user, clock::boot())?;
    let site = context.settings.sites.own().map(|site| site.to_string()).unwrap_or_default();
    let expires_at = (context.api.store.now() + LINK_LASTS).into();
    Ok(Reply::document(StatusCode::CREATED, &LoginLink { url: format!("{site}/login?t={token}"), expires_at }))
}
