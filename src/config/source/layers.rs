//! Settings from the environment and from flags, which win over the files.
//!
//! `HOOKWHEEL_SERVER_LISTEN` is `listen` of `[server]`, and so on for every key of `[server]`, `[storage]` and `[delivery]`. A
//! list is written with commas. A name that begins with `HOOKWHEEL_` and is none of these is a fault: it was meant to do something.

use crate::domain::text::nearest::nearest;

use super::document::{Table, Value};
use crate::config::fault::{Faults, Location, Remedy};
use crate::config::table::settings::KEYS;

/// A flag of the command line that stands for one key of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flag {
    /// The flag as it is typed, `--listen`.
    pub(crate) name: &'static str,
    /// The section of the key: `server`, `storage` or `delivery`.
    pub(crate) section: &'static str,
    pub(crate) key: &'static str,
    pub(crate) value: String,
}

/// One key set from outside the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    section: &'static str,
    key: &'static str,
    value: String,
    location: Location,
}

/// The keys that environment and flags set. Of two values for one key the later wins.
pub(crate) fn said(environment: impl IntoIterator<Item = (String, String)>, flags: Vec<Flag>, faults: &mut Faults) -> Vec<Said> {
    let ours = environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX) && !is_of_others(name));
    let mut said: Vec<Said> = ours.filter_map(|(name, value)| from_environment(&name, value, faults)).collect();
    said.extend(flags.into_iter().map(|flag| Said {
        section: flag.section,
        key: flag.key,
        value: flag.value,
        location: Location::Flag(flag.name.into()),
    }));
    said
}

/// Puts the values from outside over those of a section's table.
pub(crate) fn put_over(table: &mut Table, section: &str, said: &[Said]) {
    for said in said.iter().filter(|said| said.section == section) {
        table.put(said.key, Value::Text(said.value.clone()), said.location.clone());
    }
}

/// Kubernetes tells every container where a service named `hookwheel` is, by variables of these names (its documentation of
/// services, under "Environment variables"), so they are no settings.
fn is_of_others(name: &str) -> bool {
    OTHERS.contains(&name) || PLATFORM.iter().any(|prefix| name.starts_with(prefix))
}

fn from_environment(name: &str, value: String, faults: &mut Faults) -> Option<Said> {
    let location = Location::Environment(name.into());
    let Some((section, key)) = names().find(|(section, key)| variable(section, key) == name || (*section, *key, name) == LOG)
    else {
        faults.add(&location, unknown(name), Remedy::run(format!("unset {name}")));
        return None;
    };
    Some(Said { section, key, value, location })
}

fn unknown(name: &str) -> String {
    let known: Vec<String> = names().map(|(section, key)| variable(section, key)).collect();
    let near = nearest(name, known.iter().map(String::as_str).chain(OTHERS));
    let meant = near.map(|near| format!("; `{near}` is the nearest that is known")).unwrap_or_default();
    format!("unknown variable `{name}`{meant}")
}

fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    KEYS.iter().flat_map(|(section, keys)| keys.iter().map(|key| (*section, *key)))
}

fn variable(section: &str, key: &str) -> String {
    format!("{PREFIX}{section}_{key}").to_uppercase()
}

const PREFIX: &str = "HOOKWHEEL_";

/// The short name of `HOOKWHEEL_SERVER_LOG_LEVEL`, which is often changed for a moment.
const LOG: (&str, &str, &str) = ("server", "log_level", "HOOKWHEEL_LOG");

/// Variables that the command line reads and that are no settings.
const OTHERS: [&str; 1] = ["HOOKWHEEL_SOCKET"];

/// How the names of Kubernetes' variables begin, as in `HOOKWHEEL_PORT_8080_TCP_ADDR` and `HOOKWHEEL_SERVICE_HOST`.
const PLATFORM: [&str; 2] = ["HOOKWHEEL_PORT", "HOOKWHEEL_SERVICE_"];

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)], flags: Vec<Flag>) -> (Vec<Said>, String) {
        let mut faults = Faults::default();
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        (said(pairs, flags, &mut faults), faults.to_string())
    }

    #[test]
    fn a_variable_names_its_key() {
        let (said, faults) = from(&[("HOOKWHEEL_DELIVERY_IN_FLIGHT_PER_ENDPOINT", "5"), ("HOME", "/root")], vec![]);
        assert_eq!(faults, "");
        assert_eq!((said[0].section, said[0].key), ("delivery", "in_flight_per_endpoint"));
    }

    #[test]
    fn an_unknown_variable_is_told_the_nearest() {
        let (_, faults) = from(&[("HOOKWHEEL_STORAGE_RETENTON", "7d")], vec![]);
        let wanted = "error: unknown variable `HOOKWHEEL_STORAGE_RETENTON`; `HOOKWHEEL_STORAGE_RETENTION` is the nearest that is known   \
                      environment HOOKWHEEL_STORAGE_RETENTON\n  try: unset HOOKWHEEL_STORAGE_RETENTON";
        assert_eq!(faults, wanted);
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        let (said, faults) = from(&[("HOOKWHEEL_SOCKET", "x")], vec![]);
        assert_eq!((said.len(), faults.as_str()), (0, ""));
    }

    #[test]
    fn the_level_of_the_log_has_a_short_name() {
        let (said, faults) = from(&[("HOOKWHEEL_LOG", "debug")], vec![]);
        assert_eq!((said[0].section, said[0].key, faults.as_str()), ("server", "log_level", ""));
        assert_eq!(said[0].location, Location::Environment("HOOKWHEEL_LOG".into()));
    }

    #[test]
    fn what_a_container_platform_sets_is_no_setting_of_ours() {
        let theirs = [
            ("HOOKWHEEL_PORT", "tcp://10.0.0.1:8080"),
            ("HOOKWHEEL_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("HOOKWHEEL_SERVICE_HOST", "10.0.0.1"),
            ("HOOKWHEEL_SERVICE_PORT", "8080"),
        ];
        let (said, faults) = from(&theirs, vec![]);
        assert_eq!((said.len(), faults.as_str()), (0, ""));
        let (_, faults) = from(&[("HOOKWHEEL_SERVICES", "x"), ("HOOKWHEEL_POTR", "x")], vec![]);
        assert_eq!(faults.matches("unknown variable").count(), 2, "{faults}");
    }

    #[test]
    fn a_flag_wins_over_a_variable() {
        let flag = Flag { name: "--listen", section: "server", key: "listen", value: "b".into() };
        let (said, _) = from(&[("HOOKWHEEL_SERVER_LISTEN", "a")], vec![flag]);
        let mut table = Table::default();
        put_over(&mut table, "server", &said);
        assert_eq!(table.entry("listen").expect("there").value.value, Value::Text("b".into()));
    }
}
