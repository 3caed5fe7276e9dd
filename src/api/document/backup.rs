//! Backups: the one under way, and how the last one ended.

pub(crate) mod export;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::moment::Moment;

/// The backup under way and the last one: `GET` and `POST /v1/admin/backup`, and `backups` in the status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Backups {
    /// The backup under way.
    pub(crate) running: Option<Running>,
    /// The backup that ended last since the service was started.
    pub(crate) last: Option<Ended>,
    /// When the last backup that succeeded was begun, as far as the service knows.
    pub(crate) last_success_at: Option<Moment>,
}

/// A backup under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RunningBackup"))]
pub(crate) struct Running {
    /// Tells it from other backups since the service was started.
    pub(crate) number: u64,
    pub(crate) path: String,
    pub(crate) started_at: Moment,
    /// Rows that were copied so far.
    pub(crate) rows: u64,
    /// Rows that are to be copied; 0: that is not known yet.
    pub(crate) rows_total: u64,
}

/// A backup that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "EndedBackup"))]
pub(crate) struct Ended {
    pub(crate) number: u64,
    pub(crate) path: String,
    pub(crate) started_at: Moment,
    pub(crate) ended_at: Moment,
    /// Why there is no backup.
    pub(crate) error: Option<String>,
    /// What is in it.
    pub(crate) backup: Option<Backup>,
}

/// A backup that stands in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Backup {
    /// All that was answered before is in it.
    pub(crate) taken_at: String,
    pub(crate) store_version: u32,
    /// Of the file.
    pub(crate) bytes: u64,
    /// Of the file, in hex.
    pub(crate) sha256: String,
    pub(crate) events: u64,
    /// Deliveries that have not ended.
    pub(crate) pending: u64,
    /// Rows of each table.
    pub(crate) tables: BTreeMap<String, u64>,
    /// Damaged rows, which stand in it as in the store.
    pub(crate) damaged: u64,
    pub(crate) sealing_key: SealingKey,
}

/// The key that secrets in a backup are sealed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SealingKey {
    /// Never.
    pub(crate) included: bool,
    /// Tells the right key from others.
    pub(crate) fingerprint: String,
    /// Where the service has it from.
    pub(crate) file: String,
    /// What is to be done with it, for a person.
    pub(crate) note: String,
}

#[cfg(test)]
pub(crate) mod fixture {
    //! Backups for tests.

    use super::*;
    use crate::domain::time::Timestamp;

    /// The second backup, which succeeded.
    pub(crate) fn ended() -> Ended {
        Ended {
            number: 2,
            path: "/b/h.redb".into(),
            started_at: Timestamp::EPOCH.into(),
            ended_at: Timestamp::EPOCH.into(),
            error: None,
            backup: Some(Backup {
                taken_at: "1970-01-01T00:00:00Z".into(),
                store_version: 4,
                bytes: 2_048,
                sha256: "ab".into(),
                events: 3,
                pending: 1,
                tables: BTreeMap::from([("event".into(), 3)]),
                damaged: 0,
                sealing_key: SealingKey {
                    included: false,
                    fingerprint: "0011".into(),
                    file: "/s/h.redb.key".into(),
                    note: "keep it apart".into(),
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_are_read_as_they_are_printed() {
        let last = fixture::ended();
        let failed = Ended { error: Some("no room".into()), backup: None, ..last.clone() };
        for last in [None, Some(last), Some(failed)] {
            let backups = Backups { running: None, last, last_success_at: None };
            let printed = serde_json::to_string(&backups).unwrap();
            assert_eq!(serde_json::from_str::<Backups>(&printed).unwrap(), backups);
        }
    }
}
