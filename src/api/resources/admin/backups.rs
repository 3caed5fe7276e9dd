//! Backups of the running store: begun at the admin socket, and looked at by the operator.

use std::path::PathBuf;

use http::StatusCode;

use crate::api::Api;
use crate::api::document::backup::{Backup, Backups, Ended, Running, SealingKey};
use crate::api::request::context::Context;
use crate::api::request::params::Form;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::store::{self, BackupEnded, BackupRunning, Manifest, NotBegun, Store};

/// `POST /v1/admin/backup {"path"}`: begins a backup, and answers while it is made.
pub(crate) async fn begin(context: &Context<'_>) -> Result<Reply, Problem> {
    let mut form = Form::read(&context.body, &["path"])?;
    let path = form.required_text("path").map(|path| PathBuf::from(path.as_ref()));
    form.finish()?;
    let store = context.api.store.clone();
    let begun = context.commands().begin_backup(path.unwrap_or_default()).await.map_err(refused)?;
    let answer = Reply::document(StatusCode::ACCEPTED, &backups(&store));
    // How it ends is told in the log, in the metrics and to whoever asks.
    tokio::spawn(async move { drop(store.run_backup(begun).await) });
    Ok(answer)
}

/// `GET /v1/admin/backup`
pub(crate) fn show(api: &Api) -> Reply {
    Reply::document(StatusCode::OK, &backups(&api.store))
}

/// The backup under way and the last one.
pub(crate) fn backups(store: &Store) -> Backups {
    let (under_way, last, last_success) = store.backups();
    Backups {
        running: under_way.map(|known| running(&known)),
        last: last.map(ended),
        last_success_at: last_success.map(Into::into),
    }
}

fn refused(why: NotBegun) -> Problem {
    match why {
        NotBegun::Busy(path) => {
            Problem::Conflict(format!("a backup to {} is under way; try again when it has ended", path.display()))
        }
        NotBegun::Refused(why @ store::Error::NoRoom { .. }) => Problem::NoRoom(why.to_string()),
        NotBegun::Refused(why) => Problem::field("/path", why.to_string()),
    }
}

fn running(known: &BackupRunning) -> Running {
    Running {
        number: known.number,
        path: known.path.display().to_string(),
        started_at: known.started_at.into(),
        rows: known.rows(),
        rows_total: known.rows_total(),
    }
}

fn ended(known: BackupEnded) -> Ended {
    let (backup, error) = match known.result {
        Ok(manifest) => (Some(backup(manifest)), None),
        Err(why) => (None, Some(why)),
    };
    Ended {
        number: known.number,
        path: known.path.display().to_string(),
        started_at: known.started_at.into(),
        ended_at: known.ended_at.into(),
        error,
        backup,
    }
}

fn backup(manifest: Manifest) -> Backup {
    let store::SealingKey { included, fingerprint, file } = manifest.sealing_key;
    let note =
        format!("the secrets in the backup open with the key {file} alone, which is not in it: keep a copy of that key apart");
    Backup {
        taken_at: manifest.taken_at,
        store_version: manifest.store_version,
        bytes: manifest.bytes,
        sha256: manifest.sha256,
        events: manifest.events,
        pending: manifest.pending,
        tables: manifest.tables,
        damaged: manifest.damaged,
        sealing_key: SealingKey { included, fingerprint, file, note },
    }
}
