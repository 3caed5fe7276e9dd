//! Compares the printer of ECMAScript's JSON with Node itself, on random documents.

use std::io::Write as _;
use std::process::Stdio;

use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::sdk::node;
use crate::harness::seed::Random;
use crate::harness::service::Service;

/// A document must be refused exactly when Node would change a number in it, and must otherwise be sent as Node prints it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_what_node_prints_on_10_000_random_documents() {
    let mut random = Random::new();
    let documents: Vec<String> = (0..DOCUMENTS).map(|_| document(&mut random, 0)).collect();
    let printed = node_prints(&documents);
    let service = Service::start(&Config::bare().provider("d", "dcisionai").tenant("t")).await;
    let tenant = service.tenant("d", "t");
    let (mut taken, mut refused) = (0, 0);
    for (documents, printed) in documents.chunks(1_000).zip(printed.chunks(1_000)) {
        let lines: String =
            documents.iter().enumerate().map(|(n, one)| format!("{{\"type\":\"t.{n}\",\"data\":{one}}}\n")).collect();
        let (_, results) = tenant.publish_lines(&lines).await;
        assert_eq!(results.len(), documents.len());
        let mut events = kept(&tenant, taken).await.into_iter();
        for ((document, print), result) in documents.iter().zip(printed).zip(&results) {
            if result["status"] == 202 {
                assert_eq!(events.next().as_deref(), Some(&**print), "{document}");
                taken += 1;
            } else {
                assert_eq!(result["status"], 422, "{document}: {result}");
                assert!(loses(document), "refused without a reason: {document}: {result}");
                refused += 1;
            }
        }
    }
    assert!(taken > DOCUMENTS / 2 && refused > 0, "{taken} taken, {refused} refused");
}

/// The data of all events but the first `skip`, byte for byte.
async fn kept(tenant: &Client, skip: usize) -> Vec<String> {
    let (mut all, mut path) = (Vec::new(), "/v1/events?limit=250".to_owned());
    loop {
        let text = tenant.get(&path).await.text();
        let page: Page<'_> = serde_json::from_str(&text).expect("a page");
        all.extend(page.data.iter().map(|event| event.data.get().to_owned()));
        let Some(next) = page.next else { return all.split_off(skip) };
        path = format!("/v1/events?limit=250&cursor={next}");
    }
}

/// A page of events whose data stays raw, since JSON may hold a lone surrogate and a Rust string cannot.
#[derive(serde::Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<Kept<'a>>,
    next: Option<&'a str>,
}

#[derive(serde::Deserialize)]
struct Kept<'a> {
    #[serde(borrow)]
    data: &'a serde_json::value::RawValue,
}

/// `JSON.stringify(JSON.parse(line))` of each document.
fn node_prints(documents: &[String]) -> Vec<String> {
    let script = "require('fs').readFileSync(0,'utf8').split('\\n').filter(Boolean)\
                  .forEach(l=>process.stdout.write(JSON.stringify(JSON.parse(l))+'\\n'))";
    let mut child = node().args(["-e", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node is installed");
    let mut stdin = child.stdin.take().expect("piped");
    let text = documents.join("\n");
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("node ran");
    writer.join().expect("no panic").expect("node reads all");
    let printed: Vec<String> = String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect();
    assert_eq!(printed.len(), documents.len());
    printed
}

/// Whether a document holds a number that a double would change. Whole numbers here are written with digits alone.
fn loses(document: &str) -> bool {
    numbers(document).any(|number| {
        let double: f64 = number.parse().expect("a number");
        let digits = number.trim_start_matches('-');
        let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
        let becomes_0 = double == 0.0
            && digits.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| matches!(byte, b'1'..=b'9'));
        double.is_infinite() || becomes_0 || (whole && digits.parse() != Ok(shown(double.abs())))
    })
}

/// The whole number that ECMAScript prints for a double: its shortest digits, and then zeros.
fn shown(double: f64) -> u128 {
    format!("{double:e}").split_once('e').map_or(0, |(mantissa, exponent)| {
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let exponent: usize = exponent.parse().unwrap_or(0);
        format!("{digits:0<width$}", width = exponent + 1).parse().unwrap_or(u128::MAX)
    })
}

/// The numbers of a document, without those in strings.
fn numbers(document: &str) -> impl Iterator<Item = &str> {
    let mut outside = Vec::new();
    let (mut start, mut in_string, mut escaped) = (0, false, false);
    for (at, byte) in document.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => {
                if in_string {
                    start = at + 1
                } else {
                    outside.push(&document[start..at])
                }
                in_string = !in_string;
            }
            _ => {}
        }
    }
    outside.push(&document[start..]);
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
    outside
        .into_iter()
        .flat_map(move |text| text.split(move |c| !is_part(c)))
        .filter(|word| word.starts_with(|c: char| c == '-' || c.is_ascii_digit()))
}

fn document(random: &mut Random, depth: usize) -> String {
    let space = [" ", "", "", "\t", "  "][random.below(5) as usize];
    match random.below(if depth < 4 { 10 } else { 7 }) {
        0 => "null".into(),
        1 => ["true", "false"][random.below(2) as usize].into(),
        2..=4 => number(random),
        5 | 6 => string(random),
        7 | 8 => {
            let member = |random: &mut Random| format!("{}{space}:{}", name(random), document(random, depth + 1));
            let members: Vec<String> = (0..random.below(6)).map(|_| member(random)).collect();
            format!("{{{space}{}{space}}}", members.join(&format!("{space},{space}")))
        }
        _ => {
            let elements: Vec<String> = (0..random.below(6)).map(|_| document(random, depth + 1)).collect();
            format!("[{space}{}]", elements.join(&format!(",{space}")))
        }
    }
}

/// A name that is likely to come twice, and whose place ECMAScript changes.
fn name(random: &mut Random) -> String {
    let names = [
        "\"a\"",
        "\"b\"",
        "\"1\"",
        "\"10\"",
        "\"2\"",
        "\"01\"",
        "\"\"",
        "\"4294967294\"",
        "\"4294967295\"",
        "\"\\u0061\"",
        "\"__proto__\"",
        "\"-1\"",
    ];
    if random.below(4) == 0 { string(random) } else { names[random.below(names.len() as u64) as usize].into() }
}

fn number(random: &mut Random) -> String {
    let sign = ["", "", "-"][random.below(3) as usize];
    let below = |random: &mut Random, bound| random.below(bound);
    match random.below(40) {
        0 => format!("{sign}{}", 9_007_199_254_740_992 + below(random, 1_000)),
        1 => format!("{sign}{}e{}", below(random, 10), 290 + below(random, 30)),
        2 => format!("{sign}1e-{}", 300 + below(random, 40)),
        3..=10 => format!("{sign}{}", below(random, 100)),
        11..=16 => format!("{sign}{}", below(random, 9_007_199_254_740_992)),
        17..=22 => format!("{sign}{}.{}", below(random, 1_000), below(random, 1_000_000)),
        23..=28 => format!("{sign}0.{}", below(random, u64::MAX)),
        29..=34 => format!("{sign}{}.{}E-{}", below(random, 10), below(random, u64::MAX), below(random, 30)),
        _ => format!("{sign}{}.5e+{}", below(random, 1_000), below(random, 20)),
    }
}

fn string(random: &mut Random) -> String {
    let parts = [
        "a",
        "Z",
        " ",
        "é",
        "\u{2028}",
        "\u{1f600}",
        "\u{7f}",
        "\\u0000",
        "\\u001f",
        "\\n",
        "\\/",
        "\\\"",
        "\\\\",
        "\\ud83d\\ude00",
        "\\ud800",
        "\\udc00",
        "\\u00e9",
        "\\u002f",
        "\\b",
        "\\f",
        "1e9",
        "{",
        ":",
        ",",
    ];
    let text: String = (0..random.below(8)).map(|_| parts[random.below(parts.len() as u64) as usize]).collect();
    format!("\"{text}\"")
}

const DOCUMENTS: usize = 10_000;
