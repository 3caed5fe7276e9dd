//! Repeats `hookwheel bench` by turns: each binary once, then once more in the opposite order, and so on. A machine whose processor
//! is shared with others is slower for some seconds, and that meets all alike.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use serde_json::Value;

use crate::figures::Mean;
use crate::noise::Look;
use crate::table::table;
use crate::{Result, say};

/// What is repeated.
#[derive(Args)]
pub(crate) struct Turns {
    /// How often each is run
    #[arg(long, value_name = "N", default_value_t = 5)]
    times: usize,

    /// Options of `hookwheel bench` for a load to compare with, which every binary runs too
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    beside: Vec<String>,

    /// Options of `hookwheel bench`
    #[arg(last = true, default_value = "--for=2s")]
    options: Vec<String>,
}

/// One column: a binary with its options.
struct Variant<'a> {
    binary: &'a Path,
    options: Vec<String>,
    /// The figures of each turn.
    turns: Vec<Figures>,
}

type Figures = Vec<(&'static str, f64)>;

impl Turns {
    pub(crate) fn run(&self, binaries: &[PathBuf], dir: &Path) -> Result<String> {
        let beside = self.beside.iter().map(|options| options.split_whitespace().map(str::to_owned).collect());
        let loads: Vec<Vec<String>> = beside.chain([self.options.clone()]).collect();
        let variant = |binary, options: &Vec<String>| Variant { binary, options: options.clone(), turns: Vec::new() };
        let of_binary = |binary| loads.iter().map(move |options| variant(binary, options));
        let mut variants: Vec<Variant<'_>> = binaries.iter().map(PathBuf::as_path).flat_map(of_binary).collect();
        let mut noise = Vec::new();
        for turn in 0..self.times.max(1) {
            let count = variants.len();
            for at in 0..count {
                let at = if turn % 2 == 0 { at } else { count - 1 - at };
                say(&format!("turn {} of {}: {}", turn + 1, self.times, variants[at].name()));
                noise.extend(variants[at].run_once(dir)?);
            }
        }
        let noise: String = noise.into_iter().map(|what| format!("\ntoo noisy to trust: {what}")).collect();
        Ok(lines(&variants) + &noise)
    }
}

impl Variant<'_> {
    fn name(&self) -> String {
        format!("{} {}", self.binary.display(), self.options.join(" "))
    }

    /// Runs it once, and returns why the figures say little.
    fn run_once(&mut self, dir: &Path) -> Result<Vec<String>> {
        let look = Look::now();
        let mut command = Command::new(self.binary);
        command.args(["bench", "--json", "--dir"]).arg(dir).args(&self.options).stderr(Stdio::inherit());
        let output = command.output().map_err(|cause| format!("cannot start {}: {cause}", self.binary.display()))?;
        let report: Value = serde_json::from_slice(&output.stdout)
            .map_err(|_| format!("{} gave no report: {}", self.name(), String::from_utf8_lossy(&output.stdout)))?;
        if report["faults"].as_array().is_none_or(|faults| !faults.is_empty()) {
            return Err(format!("{} failed: {}", self.name(), report["faults"]).into());
        }
        self.turns.push(figures(&report));
        let paced = report["load"]["rate"].as_f64() > Some(0.0);
        let complaints = look.map_or_else(Vec::new, |look| look.complaints(paced));
        Ok(complaints.into_iter().map(|what| format!("{}: {what}", self.name())).collect())
    }

    /// One figure of all turns, where each has it.
    fn all(&self, name: &str) -> Vec<f64> {
        self.turns.iter().filter_map(|figures| figures.iter().find(|(own, _)| *own == name)).map(|(_, figure)| *figure).collect()
    }
}

/// The figures of one report, of this release or of an older one, whose relay has an object of its own.
fn figures(report: &Value) -> Figures {
    let runs = report["runs"].as_array().map_or(&[][..], Vec::as_slice);
    let run = |name: &str| runs.iter().find(|run| run["run"] == name).unwrap_or(&Value::Null);
    let (forward, store) = (run("forward"), run("store"));
    let number = |run: &Value, name: &str| run[name].as_f64().or_else(|| run["relay"][name].as_f64());
    let load = |run: &Value| {
        let [publisher, receiver] =
            ["publisher_cpu_us_per_delivery", "receiver_cpu_us_per_delivery"].map(|name| number(run, name));
        number(run, "load_cpu_us_per_delivery").or_else(|| Some(publisher? + receiver?))
    };
    let by_load = |run: &Value| Some(number(run, "cpu_us_per_delivery")? / load(run)?);
    let millis = |run: &Value, times: &str, rank: &str| Some(run[times][rank].as_f64()? / 1e3);
    let memory = |name: &str| Some(number(store, name)? / f64::from(1 << 20));
    let all = [
        ("share of forward-only", number(store, "rate").zip(number(forward, "rate")).map(|(store, forward)| store / forward)),
        ("deliveries/s", number(store, "rate")),
        ("deliveries/s of forward-only", number(forward, "rate")),
        ("end to end p50, ms", millis(store, "end_to_end", "p50_us")),
        ("end to end p99, ms", millis(store, "end_to_end", "p99_us")),
        ("until the answer p50, ms", millis(store, "publish", "p50_us")),
        ("until the answer p99, ms", millis(store, "publish", "p99_us")),
        ("CPU per delivery, µs", number(store, "cpu_us_per_delivery")),
        ("CPU of forward-only, µs", number(forward, "cpu_us_per_delivery")),
        ("CPU by that of the load", by_load(store)),
        ("CPU of forward-only by that of the load", by_load(forward)),
        ("start to ready, ms", number(store, "start_to_ready_ms")),
        ("memory when idle, MiB", memory("idle_bytes")),
        ("memory, MiB", memory("resident_bytes")),
        ("most memory, MiB", memory("peak_bytes")),
        ("written per delivery, B", number(store, "written_bytes_per_delivery")),
        ("growth of the store per delivery, B", number(store, "store_bytes_per_delivery")),
    ];
    all.into_iter().filter_map(|(name, figure)| Some((name, figure?))).collect()
}

/// A column for each variant, and behind each but the first one its ratio to the first.
fn lines(variants: &[Variant<'_>]) -> String {
    let Some((first, others)) = variants.split_first() else { return String::new() };
    let names = first.turns.first().map_or(&[][..], Vec::as_slice).iter().map(|(name, _)| *name);
    let cell = |mean: Option<Mean>| mean.map_or_else(String::new, |mean| mean.to_string());
    let row = |name: &'static str| {
        let by = first.all(name);
        let pair = |other: &Variant<'_>| [Mean::of(&other.all(name)), Mean::of_ratios(&other.all(name), &by)].map(cell);
        [name.to_owned(), cell(Mean::of(&by))].into_iter().chain(others.iter().flat_map(pair)).collect()
    };
    let numbers = (2..).take(others.len()).flat_map(|number| [format!("({number})"), format!("({number}) by (1)")]);
    let headings: Vec<String> = [String::new(), "(1)".into()].into_iter().chain(numbers).collect();
    let legend = variants.iter().zip(1..).map(|(variant, number)| format!("({number}) {}\n", variant.name()));
    let rows: Vec<Vec<String>> = names.map(row).collect();
    legend.collect::<String>() + &table(&headings, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_both_forms_give_the_same_figures() {
        let new = r#"{"runs":[{"run":"forward","rate":200.0},{"run":"store","rate":100.0,"cpu_us_per_delivery":40.0,
            "load_cpu_us_per_delivery":16.0,"idle_bytes":1048576,"end_to_end":{"p50_us":1500}}]}"#;
        let old = r#"{"runs":[{"run":"forward","rate":200.0},{"run":"store","rate":100.0,"publisher_cpu_us_per_delivery":9.0,
            "receiver_cpu_us_per_delivery":7.0,"relay":{"cpu_us_per_delivery":40.0,"idle_bytes":1048576},"end_to_end":{"p50_us":1500}}]}"#;
        let [new, old] = [new, old].map(|text| figures(&serde_json::from_str(text).expect("JSON")));
        assert_eq!(new, old);
        for expected in [("share of forward-only", 0.5), ("CPU by that of the load", 2.5), ("memory when idle, MiB", 1.0)] {
            assert!(new.contains(&expected), "{expected:?}: {new:?}");
        }
    }

    #[test]
    fn others_are_compared_with_the_first() {
        let variant = |binary, figures: [f64; 2]| Variant {
            binary: Path::new(binary),
            options: vec!["--for=2s".into()],
            turns: figures.map(|figure| vec![("deliveries/s", figure)]).to_vec(),
        };
        let said = lines(&[variant("old", [100.0, 100.0]), variant("new", [150.0, 250.0])]);
        assert!(said.starts_with("(1) old --for=2s\n(2) new --for=2s\n"), "{said}");
        assert!(said.ends_with("deliveries/s  100 ± 0  200 ± 100  2.00 ± 1.00"), "{said}");
    }
}
