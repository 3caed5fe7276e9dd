//! The forms that a URL may have, and forms in which an address is hidden in a URL.

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;

const HTTP: Schemes = Schemes { http: true };
const HTTPS: Schemes = Schemes { http: false };

fn read(text: &str) -> Result<Target, Reason> {
    Target::parse(text, HTTP, &Guard::default())
}

fn reason(text: &str) -> Reason {
    match read(text) {
        Ok(target) => panic!("{text:?} was read as {target:?}"),
        Err(reason) => reason,
    }
}

fn local() -> Guard {
    let allow = ["127.0.0.0/8", "::1/128"].map(|net| net.parse::<IpNet>().unwrap());
    Guard { allow: allow.into(), own: Vec::new() }
}

#[test]
fn a_target_is_canonical_and_taken_apart() {
    let target = read("HTTPS://Hooks.Example.COM.:443/a/../b?x=1&y=ü").unwrap();
    assert_eq!(target.url(), "https://hooks.example.com/b?x=1&y=%C3%BC");
    assert_eq!(target.host(), &Host::Domain("hooks.example.com".into()));
    assert_eq!((target.port(), target.is_tls()), (443, true));
    assert_eq!(target.path_and_query(), "/b?x=1&y=%C3%BC");
    assert_eq!(target.authority(), "hooks.example.com");
}

#[test]
fn the_authority_keeps_a_port_that_is_not_the_default() {
    assert_eq!(read("http://example.com:8080").unwrap().authority(), "example.com:8080");
    assert_eq!(read("http://example.com:443/").unwrap().authority(), "example.com:443");
    assert_eq!(read("https://[2606:4700::1]:8443/x").unwrap().authority(), "[2606:4700::1]:8443");
    assert_eq!(read("https://bücher.example/").unwrap().authority(), "xn--bcher-kva.example");
}

#[test]
fn http_is_for_dialects_that_ask_for_it() {
    assert_eq!(Target::parse("http://example.com/", HTTPS, &Guard::default()), Err(Reason::HttpsOnly));
    assert!(Target::parse("http://example.com/", HTTP, &Guard::default()).is_ok());
    assert!(Target::parse("https://example.com/", HTTPS, &Guard::default()).is_ok());
}

#[test]
fn other_schemes_are_refused() {
    for text in [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "ws://example.com/",
        "javascript:alert(1)",
        "//example.com",
        "example.com",
        "",
        ":",
    ] {
        assert_eq!(reason(text), Reason::Scheme, "{text}");
    }
}

#[test]
fn both_slashes_are_demanded() {
    for text in ["http:127.0.0.1", "https:example.com", "https:/example.com"] {
        assert_eq!(reason(text), Reason::Scheme, "{text}");
    }
    for text in ["https:///example.com", "https://", "https://?x", "https:///"] {
        assert_eq!(reason(text), Reason::NoHost, "{text}");
    }
}

#[test]
fn user_info_and_fragments_are_refused() {
    for text in [
        "https://a@example.com/",
        "https://a:b@example.com/",
        "https://@example.com/",
        "https://:@example.com/",
        "https://a%40b@example.com",
    ] {
        assert_eq!(reason(text), Reason::UserInfo, "{text}");
    }
    assert_eq!(reason("https://example.com/#"), Reason::Fragment);
    assert_eq!(reason("https://example.com/a#b"), Reason::Fragment);
    assert!(read("https://example.com/a@b?c@d").is_ok());
}

#[test]
fn characters_that_hide_a_host_are_refused() {
    for text in [
        "https://example.com/ ",
        " https://example.com/",
        "https://exa\tmple.com/",
        "https://example.com/\r\nX-Injected: 1",
        "https://example.com\\@127.0.0.1/",
        "https://1.1.1.1 &@127.0.0.1/",
        "https://example.com/\0",
        "https://example.com/\u{a0}",
        "https://example.com/\u{85}",
        "https://example.com/\u{3000}",
    ] {
        assert_eq!(reason(text), Reason::Characters, "{text:?}");
    }
}

#[test]
fn a_host_is_a_full_name() {
    assert_eq!(reason("https://intranet/"), Reason::SingleLabel("intranet".to_owned()));
    assert_eq!(reason("https://intranet./"), Reason::SingleLabel("intranet".to_owned()));
    for text in [
        "https://a..b/",
        "https://example.com../",
        "https://.example.com/",
        "https://-a.example/",
        "https://a*.example/",
        "https://a!b.example/",
    ] {
        assert!(matches!(reason(text), Reason::Name(_) | Reason::Syntax(_)), "{text}");
    }
    assert!(matches!(reason(&format!("https://{}.example/", "a".repeat(64))), Reason::Name(_) | Reason::Syntax(_)));
    assert!(matches!(reason(&format!("https://{}example/", "a.".repeat(124))), Reason::Name(_) | Reason::Syntax(_)));
    assert!(read("https://under_score.example/").is_ok());
}

#[test]
fn local_names_need_the_operators_leave() {
    for text in
        ["http://localhost:3000/", "http://LOCALHOST/", "http://localhost./", "http://a.localhost/", "http://a.b.localhost.:81/"]
    {
        assert!(matches!(reason(text), Reason::Local(_)), "{text}");
        assert!(Target::parse(text, HTTP, &local()).unwrap().host().is_local_name(), "{text}");
    }
    assert!(!read("http://notlocalhost.example/").unwrap().host().is_local_name());
}

#[test]
fn ports_of_other_protocols_are_refused() {
    assert!(PORTS_OF_OTHERS.is_sorted());
    for port in [0, 1, 22, 25, 53, 3306, 5432, 6379, 6667, 9200, 10080, 11211, 27017] {
        assert_eq!(reason(&format!("https://example.com:{port}/")), Reason::Port(port));
    }
    for port in [80, 443, 3000, 5000, 8000, 8080, 8443, 9000, 40_000, 65_535] {
        assert!(read(&format!("https://example.com:{port}/")).is_ok(), "{port}");
    }
    assert!(matches!(reason("https://example.com:65536/"), Reason::Syntax(_)));
}

/// In a compose file the name of a service is a single label, and its port is often that of another protocol.
#[test]
fn an_address_in_allow_private_is_allowed_by_name_and_on_any_port() {
    let read = |text: &str| Target::parse(text, HTTP, &local());
    for text in
        ["http://app/", "http://app:6000/", "http://app.internal:10080/", "http://127.0.0.1:6379/", "http://localhost:6000/"]
    {
        assert!(read(text).is_ok(), "{text}");
    }
    assert_eq!(read("http://8.8.8.8:6000/"), Err(Reason::Port(6000)), "its address is not covered");
    assert_eq!(read("http://app:0/"), Err(Reason::Port(0)));
    for (text, needs_leave) in
        [("http://app/", true), ("http://a.test:6000/", true), ("http://a.test/", false), ("http://127.0.0.1/", false)]
    {
        assert_eq!(read(text).unwrap().needs_leave(), needs_leave, "{text}");
    }
}

#[test]
fn a_name_that_needs_leave_leads_nowhere_else() {
    let guard = local();
    let judge = |url: &str, to: &str| guard.judge_for(&Target::parse(url, HTTP, &guard).unwrap(), to.parse().unwrap());
    assert_eq!(judge("http://app/", "127.0.0.1:80"), Ok(()));
    assert_eq!(judge("http://app/", "8.8.8.8:80"), Err(Refused::NotNamed));
    assert_eq!(judge("http://a.test:6000/", "8.8.8.8:6000"), Err(Refused::NotNamed));
    assert_eq!(judge("http://a.test:6000/", "127.0.0.1:6000"), Ok(()));
    assert_eq!(judge("http://a.test/", "8.8.8.8:80"), Ok(()));
    assert!(judge("http://app/", "10.0.0.1:80").is_err());
}

#[test]
fn a_url_has_a_bound_before_and_after_encoding() {
    let exact = format!("https://example.com/{}", "a".repeat(URL_BYTES_MAX - 20));
    assert_eq!(read(&exact).unwrap().url().len(), URL_BYTES_MAX);
    assert_eq!(reason(&format!("{exact}a")), Reason::Long);
    assert_eq!(reason(&format!("https://example.com/{}", "ü".repeat(600))), Reason::Long);
}

#[test]
fn debug_shows_the_origin_alone() {
    assert_eq!(format!("{:?}", read("https://example.com:8443/t0ken?k=1").unwrap()), "Target(https://example.com:8443)");
}

#[test]
fn no_form_of_a_refused_address_is_accepted() {
    let forms = hidden_forms();
    assert!(forms.len() >= 500, "{} forms", forms.len());
    for host in &forms {
        for text in [format!("http://{host}/"), format!("https://{host}:8443/a?b")] {
            // Local names and names of one label are refused for what they are. All other forms are refused by the parser or the
            // guard.
            assert!(!matches!(reason(&text), Reason::Long | Reason::Scheme | Reason::Port(_)), "{text}");
        }
    }
}

#[test]
fn every_radix_of_an_allowed_address_is_one_target() {
    for host in radix_forms([127, 0, 0, 1]) {
        let target = Target::parse(&format!("http://{host}/"), HTTP, &local()).unwrap();
        assert_eq!((target.url(), target.host()), ("http://127.0.0.1/", &Host::Ip([127, 0, 0, 1].into())), "{host}");
    }
}

/// Hosts that reach a private address through one reader or another.
fn hidden_forms() -> Vec<String> {
    let private = [
        [127, 0, 0, 1],
        [0, 0, 0, 0],
        [10, 0, 0, 1],
        [169, 254, 169, 254],
        [192, 168, 1, 1],
        [172, 16, 0, 1],
        [100, 64, 0, 1],
        [224, 0, 0, 1],
    ];
    let mut forms: Vec<String> =
        private.into_iter().flat_map(|ip| [radix_forms(ip), unicode_forms(ip), v6_forms(ip)].concat()).collect();
    let names = [
        "localhost",
        "LOCALHOST.",
        "foo.localhost",
        "ⓛocalhost",
        "loc%61lhost",
        "127.1",
        "127.0.1",
        "0",
        "0x0",
        "1.1.1.1@127.0.0.1",
        "127.0.0.1:80:80",
    ];
    let v6 = [
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[fec0::1]",
        "[100::1]",
        "[2001:db8::1]",
        "[3fff::1]",
        "[5f00::1]",
    ];
    forms.extend(names.into_iter().chain(v6).map(str::to_owned));
    forms.sort();
    forms.dedup();
    forms
}

/// The forms of `inet_aton`: each octet in each radix, and the last octets run together.
fn radix_forms([a, b, c, d]: [u8; 4]) -> Vec<String> {
    let radix = |n: u32, by: usize| match by {
        0 => format!("{n}"),
        1 => format!("0{n:o}"),
        2 => format!("{n:#x}"),
        _ => format!("0X{n:08X}"),
    };
    let octets = [a, b, c, d].map(u32::from);
    let mut forms = Vec::new();
    for mix in 0..4_usize.pow(4) {
        let part = |at: usize| radix(octets[at], mix / 4_usize.pow(u32::try_from(at).unwrap()) % 4);
        forms.push([part(0), part(1), part(2), part(3)].join("."));
    }
    let tail = |from: usize| octets[from..].iter().fold(0, |sum, octet| (sum << 8) | octet);
    for by in 0..4 {
        forms.push(radix(tail(0), by));
        forms.push(format!("{a}.{}", radix(tail(1), by)));
        forms.push(format!("{a}.{b}.{}", radix(tail(2), by)));
        forms.push(format!("{}.", radix(tail(0), by)));
    }
    forms
}

/// Digits and dots that IDNA maps to ASCII (UTS 46), and percent-encoding.
fn unicode_forms(ip: [u8; 4]) -> Vec<String> {
    let plain = ip.map(|octet| octet.to_string()).join(".");
    let map = |zero: char, one: char| -> String {
        let digit = |c: char| match c.to_digit(10) {
            Some(0) => zero,
            Some(n) => char::from_u32(u32::from(one) + n - 1).unwrap(),
            None => c,
        };
        plain.chars().map(digit).collect()
    };
    let percent: String = plain.bytes().map(|b| format!("%{b:02x}")).collect();
    let mut forms = vec![map('０', '１'), map('⓪', '①'), map('𝟎', '𝟏'), map('₀', '₁'), percent, format!("{plain}.")];
    for dot in ["。", "．", "｡", "%2e", "%E3%80%82"] {
        forms.push(plain.replace('.', dot));
    }
    forms
}

/// IPv6 addresses that hold the IPv4 address.
fn v6_forms([a, b, c, d]: [u8; 4]) -> Vec<String> {
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let mut forms = vec![format!("[2002:{high:x}:{low:x}::]"), format!("[2001::{high:x}:{low:x}]")];
    for prefix in ["::", "::ffff:", "0:0:0:0:0:FFFF:", "::ffff:0:", "64:ff9b::", "64:ff9b:1::"] {
        forms.push(format!("[{prefix}{high:x}:{low:x}]"));
        forms.push(format!("[{prefix}{a}.{b}.{c}.{d}]"));
    }
    forms
}

proptest! {
    #[test]
    fn any_url_is_parsed_without_panic_and_reads_again(text in "(?s)(https?://)?.{0,60}") {
        if let Ok(target) = read(&text) {
            prop_assert_eq!(read(target.url()), Ok(target));
        }
    }

    #[test]
    fn a_canonical_target_reads_as_itself(host in "[a-zA-Z0-9.%_-]{1,30}", path in "(/[!-~]{0,20})?") {
        if let Ok(target) = read(&format!("https://{host}.example{path}")) {
            prop_assert_eq!(read(target.url()), Ok(target));
        }
    }
}

#[test]
fn a_connection_serves_targets_of_the_same_scheme_host_and_port() {
    let shares = |other: &str| read("https://example.com/a").unwrap().shares_origin(&read(other).unwrap());
    assert!(shares("https://EXAMPLE.com:443/b?c"));
    for other in ["http://example.com/a", "http://example.com:443/a", "https://example.com:8443/a", "https://a.example.com/a"] {
        assert!(!shares(other), "{other}");
    }
}

#[test]
fn a_host_prints_as_a_name_or_an_address() {
    let host = |text: &str| read(text).unwrap().host().to_string();
    assert_eq!(host("https://Example.com./"), "example.com");
    assert_eq!(host("https://[2606:4700::1]:8443/"), "2606:4700::1");
}

#[test]
fn the_operator_can_open_private_hosts_and_ports_of_others() {
    for text in ["https://10.0.0.1/", "https://hooks/", "https://localhost/", "https://example.com:6379/"] {
        assert!(reason(text).can_be_opened(), "{text}");
    }
    for text in ["ftp://example.com/", "https://example.com:0/", "https://a b/", "https://example.com/#x"] {
        assert!(!reason(text).can_be_opened(), "{text}");
    }
    assert!(!Reason::Refused(Refused::Own).can_be_opened());
}
