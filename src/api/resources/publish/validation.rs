//! Holds the data of published events against the schemas of their types, before the writer gets them.
//!
//! Only an event whose type has a schema costs something, and only at a provider that asks for it. A schema is asked on a thread
//! for blocking work, since it may take long.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::api::document;
use crate::api::document::event::SchemaError;
use crate::api::request::context::aside;
use crate::api::request::settings::Provider;
use crate::api::response::problem::{Problem, STOPPING};
use crate::api::response::wrong::Wrong;
use crate::domain::refusal::Refusal;
use crate::domain::schema::{Schema, Validate};
use crate::store::Publication;

/// Judges one event. With `validate = "warn"` what is wrong is put into the publication; with `"refuse"` the event is a 422.
pub(crate) async fn judge(provider: &Provider, publication: &mut Publication) -> Result<(), Problem> {
    let Some(look) = look(provider, publication) else { return Ok(()) };
    let found = run(vec![look]).await?;
    found.into_iter().try_for_each(|refusals| apply(provider.validate, publication, refusals))
}

/// Judges many events, each by itself. A refused one becomes a problem in its place.
pub(crate) async fn judge_all(provider: &Provider, read: &mut [Result<Publication, Problem>]) {
    if provider.validate == Validate::Off {
        return;
    }
    let looks = |(at, read): (usize, &Result<Publication, Problem>)| Some((at, look(provider, read.as_ref().ok()?)?));
    let (places, looks): (Vec<usize>, Vec<Look>) = read.iter().enumerate().filter_map(looks).unzip();
    if looks.is_empty() {
        return;
    }
    match run(looks).await {
        Ok(found) => {
            for (at, refusals) in places.into_iter().zip(found) {
                let judged = read[at].as_mut().map_or(Ok(()), |publication| apply(provider.validate, publication, refusals));
                if let Err(problem) = judged {
                    read[at] = Err(problem);
                }
            }
        }
        Err(_) => places.into_iter().for_each(|at| read[at] = Err(Problem::Unavailable(STOPPING))),
    }
}

/// Data, and the schema that it is held against.
type Look = (Arc<Schema>, Bytes);

fn look(provider: &Provider, publication: &Publication) -> Option<Look> {
    if provider.validate == Validate::Off {
        return None;
    }
    let schema = provider.dialect.event_type(&publication.kind)?.schema.clone()?;
    Some((schema, publication.data.clone()))
}

async fn run(looks: Vec<Look>) -> Result<Vec<Vec<Refusal>>, Problem> {
    let _permit = AT_ONCE.acquire().await.map_err(|_| Problem::Unavailable(STOPPING))?;
    aside(move || looks.iter().map(|(schema, data)| schema.check(data)).collect()).await
}

fn apply(validate: Validate, publication: &mut Publication, refusals: Vec<Refusal>) -> Result<(), Problem> {
    let wrong: Vec<Wrong> = refusals.into_iter().map(|refusal| Wrong::inside("data", refusal)).collect();
    match validate {
        _ if wrong.is_empty() => Ok(()),
        // An event that was accepted before is answered as before: the writer finds it by its name.
        Validate::Refuse if has_name(publication) => {
            (publication.schema_errors, publication.is_refused) = (printed(&wrong), true);
            Ok(())
        }
        Validate::Refuse => Err(Problem::Fields(wrong)),
        Validate::Warn | Validate::Off => {
            publication.schema_errors = printed(&wrong);
            Ok(())
        }
    }
}

/// Whether the event has a name by which the same event may have been accepted before.
fn has_name(publication: &Publication) -> bool {
    publication.id.is_some() || publication.uid.is_some() || publication.idempotency_key.is_some()
}

fn printed(wrong: &[Wrong]) -> Box<str> {
    let errors = wrong.iter().map(|Wrong { pointer, detail }| SchemaError { pointer: pointer.into(), detail: detail.into() });
    let mut text = Vec::new();
    document::write(&errors.collect::<Vec<_>>(), &mut text);
    String::from_utf8_lossy(&text).into()
}

/// How many requests are judged at once. Each holds its data as a tree, which takes about ten times the memory of the data.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::request::settings::fixture::{dialect, provider};
    use crate::domain::dialect::{Dialect, EventType};
    use crate::domain::template::Numbers;

    /// A provider whose type `n` must be a number and whose type `free` has no schema.
    fn judging(validate: Validate) -> Provider {
        let schema = Some(Arc::new(Schema::parse("{\"type\":\"number\"}").expect("a schema")));
        let named = |name: &str, schema| EventType { name: name.into(), schema, ..EventType::default() };
        let event_types = vec![named("n", schema), named("free", None)].into();
        let mut plain = Provider::clone(&provider("acme", Dialect { event_types, ..dialect("$data", Numbers::AsPublished) }));
        plain.validate = validate;
        plain
    }

    fn publication(provider: &Provider, kind: &str, data: &'static str) -> Publication {
        let dialect = provider.dialect.clone();
        Publication::of_type_and_data("acme".into(), "t1".into(), dialect, kind, Bytes::from_static(data.as_bytes()))
    }

    #[tokio::test]
    async fn a_warning_is_put_into_the_publication() {
        let provider = judging(Validate::Warn);
        let mut wrong = publication(&provider, "n", "\"x\"");
        judge(&provider, &mut wrong).await.expect("taken");
        assert_eq!(&*wrong.schema_errors, r#"[{"pointer":"/data","detail":"it is not of type \"number\""}]"#);
        for (kind, data) in [("n", "1"), ("free", "\"x\""), ("unknown", "\"x\"")] {
            let mut right = publication(&provider, kind, data);
            judge(&provider, &mut right).await.expect("taken");
            assert_eq!(&*right.schema_errors, "", "{kind}");
        }
    }

    #[tokio::test]
    async fn only_a_provider_that_asks_for_it_refuses() {
        let (off, refuse) = (judging(Validate::Off), judging(Validate::Refuse));
        let mut wrong = publication(&off, "n", "\"x\"");
        judge(&off, &mut wrong).await.expect("nobody asks");
        let problem = judge(&refuse, &mut wrong).await.expect_err("refused");
        assert!(matches!(&problem, Problem::Fields(wrong) if wrong[0].pointer == "/data"), "{problem:?}");
        assert!(look(&refuse, &publication(&refuse, "free", "1")).is_none(), "no schema costs nothing");
    }

    #[tokio::test]
    async fn one_with_a_name_is_left_to_the_writer() {
        let provider = judging(Validate::Refuse);
        let mut named = Publication { id: Some("e1".into()), ..publication(&provider, "n", "\"x\"") };
        judge(&provider, &mut named).await.expect("it may be a repetition");
        assert!(named.is_refused && named.schema_errors.contains("/data"), "{named:?}");
    }

    #[tokio::test]
    async fn one_of_many_is_refused_in_its_place() {
        let provider = judging(Validate::Refuse);
        let of = |kind: &str, data| Ok(publication(&provider, kind, data));
        let mut all = [of("n", "1"), Err(Problem::Wrong("bad".into())), of("n", "\"x\""), of("free", "\"x\"")];
        judge_all(&provider, &mut all).await;
        assert_eq!(all.each_ref().map(Result::is_ok), [true, false, false, true]);
        assert!(matches!((&all[1], &all[2]), (Err(Problem::Wrong(_)), Err(Problem::Fields(_)))));
    }
}
