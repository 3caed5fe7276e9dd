//! The documentation: as pages of the service, as text of the command line, and its code, which runs where a runtime is there.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::config::Config;
use crate::harness::ran::run;
use crate::harness::service::Service;

#[tokio::test]
async fn every_problem_names_a_page_that_the_service_shows() {
    let service = Service::start(&Config::quick()).await;
    let problem = service.stranger().get("/v1/events").await.expect(401);
    let page = service.stranger().get(problem["type"].as_str().expect("an address")).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.text().contains("hookwheel keys new"), "{}", page.text());
    let policy = page.headers["content-security-policy"].to_str().expect("text");
    assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
    let css = service.stranger().get("/docs/style.css").await;
    assert_eq!(css.headers["content-type"], "text/css; charset=utf-8");
    for path in ["/docs", "/docs/verify", "/docs/api", "/docs/api/events", "/docs/api/forms", "/docs/problems"] {
        let page = service.stranger().get(path).await;
        assert!(page.status == 200 && page.text().starts_with("<!doctype html>"), "{path}: {}", page.text());
    }
    for path in ["/docs/nothing", "/docs/api/nothing", "/docs/problems/nothing"] {
        service.stranger().get(path).await.problem(404, &["no such path"]);
    }
}

#[test]
fn the_command_line_shows_the_same_pages() {
    let docs = |arguments: &[&str]| run(Path::new("/"), &[], &[&["docs"], arguments].concat());
    let topics = docs(&["--json"]).expect(0).json();
    let topics: Vec<String> =
        topics["data"].as_array().expect("a list").iter().map(|one| one["topic"].as_str().expect("text").into()).collect();
    for topic in ["publish", "verify", "operate", "upgrade", "api", "api/webhooks", "problems/store-full"] {
        assert!(topics.iter().any(|known| known == topic), "{topic} is not in {topics:?}");
    }
    assert!(docs(&[]).expect(0).stdout.contains("  problems/store-full"));
    let page = docs(&["/docs/problems/store-full"]).expect(0).stdout;
    assert!(page.starts_with("The store is full\n=====") && page.contains("`[storage] max_bytes`"), "{page}");
    let reference = docs(&["api/events"]).expect(0).stdout;
    let long = reference.lines().filter(|line| line.chars().count() > 100 && !line.starts_with("    ")).count();
    assert_eq!(long, 0, "{reference}");
    assert_eq!(docs(&["verify", "--json"]).expect(0).json()["title"], "Verify signatures");
    docs(&["problems/store-ful"]).expect(2).complains(&["there is no page `problems/store-ful`", "`problems/store-full`"]);
}

/// A user would have copied code that takes forged requests, or refuses real ones.
#[test]
fn the_guides_code_verifies_signatures() {
    let folder = tempfile::tempdir().expect("a folder");
    let guide = fs::read_to_string(root("src/docs/guides/verify.md")).expect("the guide");
    let mut ran = 0;
    for Language { fence, runtime, file, replaced, driver } in LANGUAGES {
        let code = guide.split_once(&format!("```{fence}\n")).and_then(|(_, rest)| rest.split_once("\n```")).expect(fence).0;
        let code = replaced.iter().fold(code.to_owned(), |code, (from, to)| code.replacen(from, to, 1));
        if Command::new(runtime[0]).arg("version").output().is_err() {
            eprintln!("skipped: {} is not installed", runtime[0]);
            continue;
        }
        fs::write(folder.path().join(file), format!("{code}\n{driver}")).expect("written");
        for (vector, body, tolerance, expected) in cases() {
            let text = |member: &str| vector[member].as_str().expect("text").to_owned();
            let arguments = [text("secret"), text("id"), vector["timestamp"].to_string(), text("value"), body, tolerance];
            let mut command = Command::new(runtime[0]);
            let output =
                command.args(&runtime[1..]).arg(file).args(arguments).current_dir(folder.path()).output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stdout).trim().to_lowercase();
            assert_eq!(said, expected, "{fence}: {}", String::from_utf8_lossy(&output.stderr));
        }
        ran += 1;
    }
    assert!(ran >= 2, "python3 and node are installed by tests/install");
}

/// A vector of the dialect `standard`, the body to check, the tolerance in seconds, and what is said.
fn cases() -> Vec<(Value, String, String, &'static str)> {
    let text = fs::read_to_string(root("tests/vectors/signatures.json")).expect("the vectors");
    let vectors: Value = serde_json::from_str(&text).expect("JSON");
    let all = vectors["vectors"].as_array().expect("a list").iter();
    let vector = all.clone().find(|one| one["scheme"] == "standard").expect("one of the dialect").clone();
    let body = vector["body"].as_str().expect("text").to_owned();
    let (long, short) = ("99999999999".to_owned(), "300".to_owned());
    let mut two = vector.clone();
    two["value"] = format!("v1,AAAA {}", vector["value"].as_str().expect("text")).into();
    vec![
        (vector.clone(), body.clone(), long.clone(), "true"),
        (two, body.clone(), long.clone(), "true"),
        (vector.clone(), format!("{body} "), long, "false"),
        (vector, body, short, "false"),
    ]
}

/// How the code of a language is run: with the secret, the three headers, the body and the tolerance as arguments.
struct Language {
    fence: &'static str,
    runtime: &'static [&'static str],
    file: &'static str,
    /// What is put in the place of what in the code.
    replaced: &'static [(&'static str, &'static str)],
    driver: &'static str,
}

const LANGUAGES: [Language; 6] = [
    Language {
        fence: "python",
        runtime: &["python3"],
        file: "a.py",
        replaced: &[],
        driver: "import sys\n_, secret, id, stamp, signature, body, tolerance = sys.argv\n\
                 headers = {'webhook-id': id, 'webhook-timestamp': stamp, 'webhook-signature': signature}\n\
                 print(verify(secret, headers, body.encode(), int(tolerance)))\n",
    },
    Language {
        fence: "javascript",
        runtime: &["node"],
        file: "a.js",
        replaced: &[],
        driver: "const [secret, id, stamp, signature, body, tolerance] = process.argv.slice(2);\n\
                 const headers = { 'webhook-id': id, 'webhook-timestamp': stamp, 'webhook-signature': signature };\n\
                 console.log(verify(secret, headers, Buffer.from(body), Number(tolerance)));\n",
    },
    Language {
        fence: "go",
        runtime: &["go", "run"],
        file: "a.go",
        replaced: &[("package webhook", "package main"), ("import (", "import (\n\"fmt\"\n\"os\"")],
        driver: "func main() {\n\
                 headers := http.Header{}\n\
                 for at, name := range []string{\"webhook-id\", \"webhook-timestamp\", \"webhook-signature\"} {\n\
                 headers.Set(name, os.Args[2+at])\n\
                 }\n\
                 tolerance, _ := time.ParseDuration(os.Args[6][:min(9, len(os.Args[6]))] + \"s\")\n\
                 fmt.Println(Verify(os.Args[1], headers, []byte(os.Args[5]), tolerance))\n\
                 }\n",
    },
    Language {
        fence: "ruby",
        runtime: &["ruby"],
        file: "a.rb",
        replaced: &[],
        driver: "secret, id, stamp, signature, body, tolerance = ARGV\n\
                 headers = { 'webhook-id' => id, 'webhook-timestamp' => stamp, 'webhook-signature' => signature }\n\
                 puts verify(secret, headers, body, Integer(tolerance))\n",
    },
    Language {
        fence: "php",
        runtime: &["php"],
        file: "a.php",
        replaced: &[],
        driver: "[, $secret, $id, $stamp, $signature, $body, $tolerance] = $argv;\n\
                 $headers = ['webhook-id' => $id, 'webhook-timestamp' => $stamp, 'webhook-signature' => $signature];\n\
                 echo verify($secret, $headers, $body, (int) $tolerance) ? 'true' : 'false';\n",
    },
    Language {
        fence: "java",
        runtime: &["java"],
        file: "A.java",
        replaced: &[(
            "final class Webhook {",
            "final class A {\n\
             public static void main(String[] of) throws Exception {\n\
             Map<String, String> headers = Map.of(\"webhook-id\", of[1], \"webhook-timestamp\", of[2], \"webhook-signature\", of[3]);\n\
             System.out.println(Webhook.verify(of[0], headers, of[4].getBytes(StandardCharsets.UTF_8), Long.parseLong(of[5])));\n\
             }\n}\nfinal class Webhook {",
        )],
        driver: "",
    },
];

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
