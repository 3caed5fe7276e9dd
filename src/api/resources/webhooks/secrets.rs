//! Signing secrets in requests and answers: taken or made, shown once, rotated.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::expand::expand;
use super::with_secret;
use crate::api::document::webhook::{Member, WebhookSecret};
use crate::api::random;
use crate::api::request::context::Context;
use crate::api::request::params::Form;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::dialect::Dialect;
use crate::domain::resource::Resource;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::domain::webhook::secret::Secret;

/// `POST /v1/webhooks/{id}/rotate-secret`: a new secret; the old one also signs for the overlap, where the dialect can say two.
pub(crate) async fn rotate_secret(context: &Context<'_>) -> Result<Reply, Problem> {
    let expand = expand(context)?;
    let Rotated { endpoint, secret, previous_until } = rotated(context).await?;
    let overlaps = context.dialect_of(&endpoint).signature.as_ref().is_some_and(|signature| signature.overlap);
    let until = previous_until.map_or(Member::Null, |until| Member::Moment(until.into()));
    let note = (!overlaps).then_some(("note", Member::Text(NO_OVERLAP.into())));
    let more = [("previous_secret_until", until)].into_iter().chain(note);
    Ok(with_secret(context, StatusCode::OK, &endpoint, Some(&secret), expand, more).await)
}

/// A webhook whose secret was rotated.
#[derive(Debug)]
pub(in crate::api) struct Rotated {
    pub(in crate::api) endpoint: Arc<Endpoint>,
    /// The new secret.
    pub(in crate::api) secret: Secret,
    /// Until when the old secret signs beside the new one. `None`: it signs nothing more.
    pub(in crate::api) previous_until: Option<Timestamp>,
}

/// Gives the webhook that the path names the secret of the body, or else a new one.
pub(in crate::api) async fn rotated(context: &Context<'_>) -> Result<Rotated, Problem> {
    let endpoint = context.webhook()?;
    let dialect = context.dialect_of(&endpoint);
    let signature = dialect.signature.as_ref();
    let signature = signature.ok_or_else(|| Problem::Conflict(format!("the dialect {} signs nothing", dialect.name)))?;
    let mut form = Form::read_or_empty(&context.body, &["secret", "overlap"])?;
    let secret = take_or_make(&mut form, &dialect)?;
    let asked = form.duration("overlap").unwrap_or(context.settings.rotation_overlap);
    if asked > OVERLAP_MAX {
        form.note("overlap", "is longer than 30d");
    }
    form.finish()?;
    let overlap = if signature.overlap { asked } else { Duration::ZERO };
    let until = context.api.store.now() + overlap;
    let secret = secret.ok_or(Problem::Random)?;
    let endpoint = context.commands().rotate_secret(endpoint.no, secret.clone(), overlap).await?;
    Ok(Rotated { endpoint, secret, previous_until: (!overlap.is_zero()).then_some(until) })
}

/// `GET /v1/webhooks/{id}/secret`, at the admin socket: the secret that signs now.
pub(crate) fn show_secret(context: &Context<'_>) -> Result<Reply, Problem> {
    let endpoint = context.webhook()?;
    let newest = endpoint.secrets.first().ok_or(Problem::NotFound(Resource::Secret))?;
    let (id, name) = (endpoint.id.to_string(), endpoint.definition.name.to_string());
    Ok(Reply::document(StatusCode::OK, &WebhookSecret { id, name, secret: newest.secret.expose().into() }))
}

/// The caller's own secret where the dialect takes one, else a new one; none where the dialect signs nothing.
pub(in crate::api) fn take_or_make(form: &mut Form<'_>, dialect: &Dialect) -> Result<Option<Secret>, Problem> {
    let given = form.text("secret");
    match given {
        Some(_) if dialect.signature.is_none() => {
            form.note("secret", format!("is of no use; the dialect {} signs nothing", dialect.name));
            Ok(None)
        }
        None if dialect.signature.is_none() => Ok(None),
        None => Ok(Some(dialect.api.secret_format.generate(&random::bytes()?))),
        Some(given) => match dialect.accept_secret(&given) {
            Ok(secret) => Ok(Some(secret)),
            Err(reason) => {
                form.note("secret", reason.to_string());
                Ok(None)
            }
        },
    }
}

/// Notes a `secret` where none can be set.
pub(in crate::api) fn refuse(form: &mut Form<'_>) {
    if form.member("secret").is_some() {
        form.note("secret", "is not set here; POST /v1/webhooks/{id}/rotate-secret changes it");
    }
}

/// Longest time that an old secret signs beside the new one.
const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

const NO_OVERLAP: &str = "this dialect sends one signature, so there is no overlap: only the new secret signs from now on";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::request::settings::fixture::dialect;
    use crate::domain::dialect::SecretPolicy;
    use crate::domain::signature::{Key, Signature, Signed, Value};
    use crate::domain::template::Numbers;

    fn signing() -> Dialect {
        let mut dialect = dialect("$data", Numbers::AsPublished);
        dialect.signature = Some(Signature {
            header: "X-Signature".into(),
            value: Value::parse("{hex}").unwrap(),
            signed: Signed::parse("{body}").unwrap(),
            key: Key::Text,
            overlap: false,
        });
        dialect
    }

    fn take(body: &str, dialect: &Dialect) -> Result<Option<Secret>, Problem> {
        let mut form = Form::read(body.as_bytes(), &["secret"]).unwrap();
        let secret = take_or_make(&mut form, dialect)?;
        form.finish().map(|()| secret)
    }

    #[test]
    fn a_secret_is_made_new_each_time() {
        let make = || take("{}", &signing()).unwrap().unwrap();
        assert!(make() != make());
        assert_eq!(make().expose().len(), "whsec_".len() + 32);
    }

    #[test]
    fn a_callers_secret_is_taken_where_the_dialect_takes_it() {
        let mut given = signing();
        given.api.secret = SecretPolicy::GivenOrGenerated;
        let taken = take(r#"{"secret":"webhook_secret_1234567890"}"#, &given).unwrap().unwrap();
        assert_eq!(taken.expose(), "webhook_secret_1234567890");
        assert_eq!(take(r#"{"secret":"mine"}"#, &signing()).unwrap_err().status(), 422);
    }

    #[test]
    fn a_dialect_that_signs_nothing_has_no_secrets() {
        let unsigned = dialect("$data", Numbers::AsPublished);
        assert!(take("{}", &unsigned).unwrap().is_none());
        assert_eq!(take(r#"{"secret":"mine"}"#, &unsigned).unwrap_err().status(), 422);
    }

    #[test]
    fn a_change_names_the_way_to_a_new_secret() {
        let mut form = Form::read(br#"{"secret":null}"#, &["secret"]).unwrap();
        refuse(&mut form);
        assert!(form.finish().unwrap_err().detail().contains("rotate-secret"));
    }
}
