//! Takes typed values out of a table by name. A wrong value is noted as a fault, and reading goes on.
//!
//! ```text
//! let listen = server.address("listen", faults);      // None: absent, or wrong and noted
//! let timeout = server.duration("timeout", SECOND..=HOUR, faults);
//! server.finish(faults);                               // every key that nobody took is unknown
//! ```

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::domain::id::is_name;
use crate::domain::rate::{NoRate, Rate};
use crate::domain::text::nearest::nearest;

pub(crate) use super::value::Wrong;
use super::value::{duration, integer, is_label, items, network, number, size, string};
use crate::config::fault::{Faults, Location, Placed, Remedy};
use crate::config::source::document::{Entry, Table, Value, within};
use crate::config::source::shape::Shape;
use crate::domain::units::Size;

impl Table {
    /// Takes a key and converts its value by `read`. Where several layers set it, each is read, and the last right value counts.
    pub(crate) fn take<T>(
        &mut self,
        key: &str,
        faults: &mut Faults,
        mut read: impl FnMut(Value, &Location) -> Result<T, Wrong>,
    ) -> Option<Placed<T>> {
        faults.record(&self.path, key, || Shape::Any);
        let mut last = None;
        for Entry { value: Placed { value, location }, .. } in self.pull(key) {
            match read(value, &location) {
                Ok(read) => last = Some(Placed::new(read, location)),
                Err(wrong) => faults.add(&location, format!("`{key}` {}", wrong.message), wrong.remedy),
            }
        }
        last
    }

    pub(crate) fn string(&mut self, key: &str, faults: &mut Faults) -> Option<Placed<String>> {
        faults.record(&self.path, key, || Shape::Text);
        self.take(key, faults, |value, _| {
            let remedy = format!("{key} = \"{}\"", value.shown().unwrap_or_default());
            string(value, remedy)
        })
    }

    pub(crate) fn boolean(&mut self, key: &str, faults: &mut Faults) -> Option<Placed<bool>> {
        faults.record(&self.path, key, || Shape::Boolean);
        self.take(key, faults, |value, _| match value {
            Value::Boolean(is) => Ok(is),
            Value::Text(text) if text == "true" || text == "false" => Ok(text == "true"),
            other => Err(Wrong::kind(&other, "true or false", format!("{key} = true"))),
        })
    }

    pub(crate) fn integer(&mut self, key: &str, range: RangeInclusive<u64>, faults: &mut Faults) -> Option<Placed<u64>> {
        faults.record(&self.path, key, || Shape::integer(&range));
        self.take(key, faults, |value, _| integer(key, value, &range))
    }

    /// Takes a number that may have a fraction.
    pub(crate) fn number(&mut self, key: &str, range: RangeInclusive<f64>, faults: &mut Faults) -> Option<Placed<f64>> {
        faults.record(&self.path, key, || Shape::Number(range.clone()));
        self.take(key, faults, |value, _| number(key, &value, &range))
    }

    /// Takes a duration as `units::parse_duration` reads it, `"30s"` or `"1h30m"`.
    pub(crate) fn duration(
        &mut self,
        key: &str,
        range: RangeInclusive<Duration>,
        faults: &mut Faults,
    ) -> Option<Placed<Duration>> {
        faults.record(&self.path, key, || Shape::Duration(range.clone()));
        self.take(key, faults, |value, _| duration(key, value, &range))
    }

    /// Takes a list of durations, each within the range.
    pub(crate) fn durations(
        &mut self,
        key: &str,
        range: RangeInclusive<Duration>,
        faults: &mut Faults,
    ) -> Option<Placed<Vec<Duration>>> {
        faults.record(&self.path, key, || Shape::list(Shape::Duration(range.clone())));
        let list = self.list(key, faults, "[\"30s\", \"5m\"]", |value| duration(key, value, &range))?;
        Some(list.map(|items| items.into_iter().map(|item| item.value).collect()))
    }

    /// Takes a size as [`Size::parse`] reads it, `"16KiB"` or `"10GiB"`.
    pub(crate) fn size(&mut self, key: &str, range: RangeInclusive<Size>, faults: &mut Faults) -> Option<Placed<Size>> {
        faults.record(&self.path, key, || Shape::Size(range.clone()));
        self.take(key, faults, |value, _| size(key, value, &range))
    }

    /// Takes a required name of 1 to 64 visible characters.
    pub(crate) fn label(&mut self, key: &str, example: &str, faults: &mut Faults) -> Option<Placed<String>> {
        faults.record(&self.path, key, || Shape::Label);
        self.named(key, example, faults, is_label, "1 to 64 characters, none of them a control character")
    }

    /// Takes a rate, as in `1000/s`.
    pub(crate) fn rate(&mut self, key: &str, faults: &mut Faults) -> Option<Placed<Rate>> {
        faults.record(&self.path, key, || Shape::Text);
        let remedy = || format!("{key} = \"1000/s\"");
        self.take(key, faults, |value, _| {
            string(value, remedy())?.parse().map_err(|wrong: NoRate| Wrong::new(wrong.to_string(), remedy()))
        })
    }

    /// Takes a required id, for which [`is_name`] must be true.
    pub(crate) fn id(&mut self, key: &str, example: &str, faults: &mut Faults) -> Option<Placed<String>> {
        faults.record(&self.path, key, || Shape::Id);
        self.named(key, example, faults, is_name, "1 to 64 of A-Z a-z 0-9 _ -")
    }

    fn named(
        &mut self,
        key: &str,
        example: &str,
        faults: &mut Faults,
        fits: fn(&str) -> bool,
        form: &str,
    ) -> Option<Placed<String>> {
        if !self.has(key) {
            self.missing(key, example, faults);
        }
        let remedy = || format!("{key} = {example}");
        self.take(key, faults, |value, _| match string(value, remedy())? {
            name if fits(&name) => Ok(name),
            _ => Err(Wrong::new(format!("is no name, which has {form}"), remedy())),
        })
    }

    /// Takes a path, which is relative to the folder of the file that names it.
    pub(crate) fn path(&mut self, key: &str, faults: &mut Faults) -> Option<Placed<PathBuf>> {
        faults.record(&self.path, key, || Shape::Path);
        let advice = || Remedy::advice("it takes the path of a file, relative to the folder of this one");
        self.take(key, faults, |value, location| match string(value, advice())? {
            empty if empty.is_empty() => Err(Wrong::new("is empty", advice())),
            text => Ok(location.resolve(&text)),
        })
    }

    /// Takes an IP address with a port.
    pub(crate) fn address(&mut self, key: &str, faults: &mut Faults) -> Option<Placed<SocketAddr>> {
        faults.record(&self.path, key, || Shape::Text);
        let remedy = format!("{key} = \"127.0.0.1:8080\"");
        self.take(key, faults, |value, _| {
            let text = string(value, remedy.clone())?;
            text.parse().map_err(|_| Wrong::new(format!("is `{text}`, not an IP address and a port"), remedy.clone()))
        })
    }

    /// Takes IP addresses. One without a port gets `port`.
    pub(crate) fn addresses(&mut self, key: &str, port: u16, faults: &mut Faults) -> Option<Placed<Vec<SocketAddr>>> {
        faults.record(&self.path, key, || Shape::list(Shape::Text));
        let example = "[\"192.0.2.53\", \"[2001:db8::53]:53\"]";
        let list = self.list(key, faults, example, |value| {
            let text = string(value, format!("{key} = {example}"))?;
            let bare = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port));
            text.parse().or_else(|_| bare()).map_err(|_| {
                Wrong::new(format!("holds `{text}`, not an IP address with or without a port"), format!("{key} = {example}"))
            })
        })?;
        Some(list.map(|items| items.into_iter().map(|item| item.value).collect()))
    }

    /// Takes networks as in `10.0.0.0/8`. An address alone is a network of one address.
    pub(crate) fn networks(&mut self, key: &str, faults: &mut Faults) -> Option<Placed<Vec<IpNet>>> {
        faults.record(&self.path, key, || Shape::list(Shape::Text));
        let example = "[\"10.1.0.0/16\", \"fd00::/8\"]";
        let list = self.list(key, faults, example, |value| network(key, value, example))?;
        Some(list.map(|items| items.into_iter().map(|item| item.value).collect()))
    }

    pub(crate) fn strings(&mut self, key: &str, faults: &mut Faults) -> Option<Placed<Vec<Placed<String>>>> {
        faults.record(&self.path, key, || Shape::list(Shape::Text));
        self.list(key, faults, "[\"a\", \"b\"]", |value| string(value, format!("{key} = [\"a\", \"b\"]")))
    }

    /// Takes a table within this one.
    pub(crate) fn table(&mut self, key: &str, faults: &mut Faults) -> Option<Table> {
        faults.record(&self.path, key, || Shape::Table);
        let header = format!("[{}]", self.path_of(key));
        let taken = self.take(key, faults, |value, _| match value {
            Value::Table(table) => Ok(table),
            other => Err(Wrong::kind(&other, "a table, which has its header on a line of its own", header.clone())),
        })?;
        Some(taken.value)
    }

    /// Takes a list of tables, `[[key]]` or `key = [{…}]`. An absent key is an empty list.
    pub(crate) fn tables(&mut self, key: &str, faults: &mut Faults) -> Vec<Table> {
        faults.record(&self.path, key, || Shape::Tables);
        let header: Remedy = format!("[[{}]]", self.path_of(key)).into();
        let list = self.right_items(key, faults, &header, |value| match value {
            Value::Table(table) => Ok(table),
            other => Err(Wrong::kind(&other, "a table, each of which has its header", header.clone())),
        });
        list.into_iter().flat_map(|(list, _)| list.value).map(|item| item.value).collect()
    }

    /// Takes a list and converts each item by `read`. `None`: the key is absent, or an item is wrong; each wrong one is noted.
    pub(crate) fn list<T>(
        &mut self,
        key: &str,
        faults: &mut Faults,
        example: &str,
        read: impl FnMut(Value) -> Result<T, Wrong>,
    ) -> Option<Placed<Vec<Placed<T>>>> {
        faults.record(&self.path, key, || Shape::list(Shape::Any));
        let (list, whole) = self.right_items(key, faults, &format!("{key} = {example}").into(), read)?;
        whole.then_some(list)
    }

    /// Converts each item, and returns the right ones and whether all are right.
    fn right_items<T>(
        &mut self,
        key: &str,
        faults: &mut Faults,
        remedy: &Remedy,
        mut read: impl FnMut(Value) -> Result<T, Wrong>,
    ) -> Option<(Placed<Vec<Placed<T>>>, bool)> {
        let list = self.take(key, faults, |value, location| items(value, location, remedy))?;
        let count = list.value.len();
        let mut right = Vec::with_capacity(count);
        for item in list.value {
            match read(item.value) {
                Ok(value) => right.push(Placed::new(value, item.location)),
                Err(wrong) => faults.add(&item.location, format!("`{key}` {}", wrong.message), wrong.remedy),
            }
        }
        let whole = right.len() == count;
        Some((Placed::new(right, list.location), whole))
    }

    /// Takes all entries that are left, for tables whose keys are the user's own.
    pub(crate) fn rest(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// Whether the key stands here and has not been taken.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Notes that a key is missing; the table's header is the place.
    pub(crate) fn missing(&self, key: &str, example: &str, faults: &mut Faults) {
        faults.record_required(&self.path, key);
        faults.add(&self.location, format!("`{key}` is missing here"), format!("{key} = {example}"));
    }

    /// Notes a fault for every key that nobody took, with the nearest name that was asked for.
    pub(crate) fn finish(self, faults: &mut Faults) {
        let Self { entries, known, path, .. } = self;
        for entry in entries {
            let message = format!("unknown key `{}`", entry.key);
            faults.add(&entry.location, message, unknown_remedy(&entry, &path, &known));
        }
    }

    fn pull(&mut self, key: &str) -> Vec<Entry> {
        if !self.known.iter().any(|known| known == key) {
            self.known.push(key.to_owned());
        }
        self.entries.extract_if(.., |entry| entry.key == key).collect()
    }
}

fn unknown_remedy(entry: &Entry, path: &str, known: &[String]) -> Remedy {
    let Some(near) = nearest(&entry.key, known.iter().map(String::as_str)) else {
        let all = if known.is_empty() { "no key is known here".to_owned() } else { format!("there are {}", known.join(", ")) };
        return Remedy::Advice(all);
    };
    match &entry.value.value {
        Value::Table(_) => format!("[{}]", within(path, near)).into(),
        Value::Array(items) if items.iter().any(|item| matches!(item.value, Value::Table(_))) => {
            format!("[[{}]]", within(path, near)).into()
        }
        // A value that may be a secret is not repeated in an error.
        value => match value.shown().filter(|_| !is_secret(near) && !is_secret(&entry.key)) {
            Some(shown) => format!("{near} = {shown}").into(),
            None => Remedy::Advice(format!("name it `{near}`")),
        },
    }
}

fn is_secret(key: &str) -> bool {
    ["secret", "key", "token", "password", "proxy"].iter().any(|word| key.to_lowercase().contains(word))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::source::document::parse;

    fn read(text: &str) -> Table {
        let mut faults = Faults::default();
        let table = parse(Path::new("a.toml"), text, &mut faults);
        assert!(faults.is_empty(), "{faults}");
        table.expect("no fault")
    }

    /// What is wrong with one value, as it is printed.
    fn fault<T>(text: &str, take: impl FnOnce(&mut Table, &mut Faults) -> Option<T>) -> String {
        let (mut table, mut faults) = (read(text), Faults::default());
        assert!(take(&mut table, &mut faults).is_none(), "{text}");
        faults.to_string()
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn an_unknown_key_is_told_the_nearest_with_its_value() {
        let (mut table, mut faults) = (read("a = 1\ntimout = \"10s\"\n"), Faults::default());
        table.integer("a", 0..=9, &mut faults);
        table.duration("timeout", Duration::ZERO..=HOUR, &mut faults);
        table.finish(&mut faults);
        assert_eq!(faults.to_string(), "error: unknown key `timout`   a.toml:2:1\n  try: timeout = \"10s\"");
    }

    #[test]
    fn an_unknown_key_without_a_near_one_is_told_all() {
        let (mut table, mut faults) = (read("colour = 1"), Faults::default());
        table.string("name", &mut faults);
        table.string("url", &mut faults);
        table.finish(&mut faults);
        assert!(faults.to_string().contains("; there are name, url"), "{faults}");
    }

    #[test]
    fn a_secret_is_not_repeated() {
        let (mut table, mut faults) = (read("secret_fil = \"whsec_abc\""), Faults::default());
        table.string("secret_file", &mut faults);
        table.finish(&mut faults);
        assert!(!faults.to_string().contains("whsec_abc"), "{faults}");
    }

    #[test]
    fn a_wrong_type_says_what_is_there_and_what_should_be() {
        let printed = fault("name = 5", |table, faults| table.string("name", faults));
        assert_eq!(printed, "error: `name` is an integer, not a string   a.toml:1:8\n  try: name = \"5\"");
        let printed = fault("on = \"yes\"", |table, faults| table.boolean("on", faults));
        assert!(printed.contains("`on` is a string, not true or false"), "{printed}");
    }

    #[test]
    fn a_number_without_a_unit_is_told_one() {
        let printed = fault("t = 30", |table, faults| table.duration("t", Duration::ZERO..=HOUR, faults));
        assert!(printed.contains("try: t = \"30s\""), "{printed}");
        let printed = fault("s = 512", |table, faults| table.size("s", Size(0)..=Size::mib(1), faults));
        assert!(printed.contains("try: s = \"512B\""), "{printed}");
    }

    #[test]
    fn bounds_are_named_in_the_units_of_the_value() {
        let printed = fault("t = \"2h\"", |table, faults| table.duration("t", Duration::from_secs(1)..=HOUR, faults));
        assert!(printed.contains("`t` is 2h, outside 1s to 1h"), "{printed}");
        let printed = fault("s = \"2GiB\"", |table, faults| table.size("s", Size::kib(1)..=Size::mib(1), faults));
        assert!(printed.contains("`s` is 2GiB, outside 1KiB to 1MiB"), "{printed}");
        let printed = fault("n = -1", |table, faults| table.integer("n", 1..=9, faults));
        assert!(printed.contains("`n` is -1, outside 1 to 9"), "{printed}");
    }

    #[test]
    fn every_wrong_item_of_a_list_is_noted() {
        let (mut table, mut faults) =
            (read("n = [\"10.0.0.0/8\", \"10.0.0.0/33\", \"fd00::1\", \"10.1.2.3/8\"]"), Faults::default());
        assert_eq!(table.networks("n", &mut faults), None);
        assert_eq!(faults.len(), 2, "{faults}");
        assert!(faults.to_string().contains("a.toml:1:20"), "{faults}");
        assert!(faults.to_string().contains("(\"10.1.2.3/32\" is that host)"), "{faults}");
    }

    #[test]
    fn a_network_may_be_one_address() {
        let (mut table, mut faults) = (read("n = [\"fd00::1\", \"192.0.2.0/24\"]"), Faults::default());
        let networks = table.networks("n", &mut faults).expect("right").value;
        let printed: Vec<_> = networks.iter().map(ToString::to_string).collect();
        assert_eq!(printed, ["fd00::1/128", "192.0.2.0/24"]);
    }

    #[test]
    fn a_wrong_item_hides_no_fault_in_the_tables_beside_it() {
        let (mut table, mut faults) = (read("t = [{ a = 1 }, 5]"), Faults::default());
        assert_eq!(table.tables("t", &mut faults).len(), 1);
        assert_eq!(faults.len(), 1, "{faults}");
    }

    #[test]
    fn text_from_outside_a_file_becomes_what_is_expected() {
        let (mut table, mut faults) = (Table::default(), Faults::default());
        let mut put = |key: &str, text: &str| table.put(key, Value::Text(text.into()), Location::Environment("X".into()));
        put("n", "64");
        put("on", "true");
        put("list", "10.0.0.0/8, fd00::/8");
        assert_eq!(table.integer("n", 1..=99, &mut faults).map(|n| n.value), Some(64));
        assert_eq!(table.boolean("on", &mut faults).map(|on| on.value), Some(true));
        assert_eq!(table.networks("list", &mut faults).map(|list| list.value.len()), Some(2));
        assert!(faults.is_empty(), "{faults}");
    }

    #[test]
    fn a_layer_that_is_put_over_hides_no_fault_below() {
        let (mut table, mut faults) = (read("n = \"x\""), Faults::default());
        table.put("n", Value::Text("5".into()), Location::Flag("--n".into()));
        let taken = table.integer("n", 1..=9, &mut faults).expect("the flag's");
        assert_eq!((taken.value, taken.location), (5, Location::Flag("--n".into())));
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn a_port_may_be_understood() {
        let (mut table, mut faults) = (read("r = [\"192.0.2.1\", \"[::1]:5353\"]"), Faults::default());
        let taken = table.addresses("r", 53, &mut faults).expect("a list").value;
        let printed: Vec<_> = taken.iter().map(ToString::to_string).collect();
        assert_eq!(printed, ["192.0.2.1:53", "[::1]:5353"]);
    }
}
