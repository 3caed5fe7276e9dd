//! Heads in order, odd heads that are read all the same, and bytes that are no head.

use proptest::prelude::*;

use super::*;

fn scan(text: impl AsRef<[u8]>) -> Result<Option<Head>, Fault> {
    Scanner::default().scan(&mut BytesMut::from(text.as_ref()))
}

#[track_caller]
fn head(text: &str) -> Head {
    scan(text).expect("readable").expect("complete")
}

#[test]
fn a_head_without_room_is_cut_to_what_has_come() {
    let begun = |text: &str| {
        let (mut scanner, mut received) = (Scanner::default(), BytesMut::from(text));
        assert_eq!(scanner.scan(&mut received), Ok(None));
        scanner.cut_short(&mut received).map(|head| (head, received.len()))
    };
    let (head, left) = begun("HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\na: b\r\ncontent-length: 9\r\nset-coo").unwrap();
    assert_eq!((head.status, head.framing.clone(), head.keeps_alive, left), (200, Framing::Empty, false, 0));
    let names: Vec<_> = head.headers.iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["a", "content-length", LEFT_OUT]);
    assert_eq!(begun("HTTP/1.1 200 O"), None, "no status yet");
    assert_eq!(begun("HTTP/1.1 103 Early\r\nlink: a"), None, "not the last one");
}

#[test]
fn the_first_of_large_headers_are_kept() {
    let text = format!("HTTP/1.1 200 OK\r\na: b\r\nlarge: {}\r\ncontent-length: 2\r\n\r\n", "\u{e9}".repeat(20_000));
    let head = head(&text);
    assert_eq!((head.framing.clone(), head.headers.get("a"), head.headers.get("large")), (Framing::Length(2), Some("b"), None));
    assert!(head.headers.bytes() <= KEPT_BYTES_MAX + 100 && head.headers.get(LEFT_OUT).is_some());
}

#[test]
fn a_head_ends_with_its_blank_line_wherever_it_is_cut() {
    let text = b"HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\na: b\tc\r\ncontent-length: 0\r\n\r\n";
    for cut in 0..text.len() {
        let (mut scanner, mut received) = (Scanner::default(), BytesMut::from(&text[..cut]));
        assert_eq!(scanner.scan(&mut received), Ok(None), "cut at {cut}");
        received.extend_from_slice(&text[cut..]);
        let head = scanner.scan(&mut received).unwrap().expect("complete");
        assert_eq!((head.status, head.keeps_alive, received.len()), (200, true, 0), "cut at {cut}");
        assert_eq!(head.headers, [("a", "b\tc"), ("content-length", "0")].into_iter().collect());
    }
}

#[test]
fn bytes_behind_the_head_stay() {
    let mut received = BytesMut::from("HTTP/1.1 200 OK\r\n\r\nbody");
    assert!(Scanner::default().scan(&mut received).unwrap().is_some());
    assert_eq!(received, "body");
}

#[test]
fn odd_heads_are_read_and_close_the_connection() {
    for (text, expected) in [
        ("HTTP/1.1 200 OK\n\n", &[][..]),
        ("HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n", &[("a", "b"), ("c", "d")]),
        ("HTTP/1.1 200 OK\r\na: b\r\n  c\r\n\td\r\ne: f\r\n\r\n", &[("a", "b c d"), ("e", "f")]),
        ("HTTP/1.1 200 OK\r\n folded onto nothing\r\na: b\r\n\r\n", &[("a", "b")]),
        ("HTTP/1.1 200 OK\r\nno colon\r\n onto it\r\na: b\r\n\r\n", &[("a", "b")]),
        ("HTTP/1.1 200 OK\r\n: no name\r\na b: c\r\n\u{e9}: d\r\na: b\r\n\r\n", &[("a", "b")]),
        ("HTTP/1.1 200 OK\r\na : b\r\n\r\n", &[("a", "b")]),
        ("HTTP/1.1 200 OK\r\na: \0\r\n\r\n", &[("a", "\0")]),
        ("HTTP/1.1 200 OK\r\na: b\rc: d\r\n\r\n", &[("a", "b\rc: d")]),
        ("HTTP/1.1 200 \0\r\na: b\r\n\r\n", &[("a", "b")]),
        ("\r\nHTTP/1.1 200 OK\r\na: b\r\n\r\n", &[("a", "b")]),
    ] {
        let text = text.replace("\n\n", "\na: b\n\n");
        let with_length = text.replacen("\na", "\ncontent-length: 0\r\na", 1);
        let head = head(&with_length);
        let headers = head.headers.iter().filter(|(name, _)| *name != "content-length");
        let expected = if expected.is_empty() { &[("a", "b")][..] } else { expected };
        assert_eq!((head.status, headers.collect::<Vec<_>>()), (200, expected.to_vec()), "{text:?}");
        assert!(!head.keeps_alive, "{text:?}");
    }
    assert!(head("HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 0\r\n\r\n").keeps_alive);
}

#[test]
fn a_status_line_is_strict() {
    for good in ["HTTP/1.1 200 OK", "HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.0 200 OK", "HTTP/1.1 200 Alles klar, Üli"] {
        assert_eq!(head(&format!("{good}\r\n\r\n")).status, 200, "{good}");
    }
    for bad in [
        "garbage",
        "SSH-2.0-OpenSSH_9.2",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 2",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 200OK",
        "HTTP/1.1 abc OK",
        "HTTP/1.1 099 Low",
        "HTTP/1.1  200 OK",
        "HTTP/2.0 200 OK",
        "http/1.1 200 OK",
        "HTTP /1.1 200 OK",
        " HTTP/1.1 200 OK",
        "ICY 200 OK",
    ] {
        assert_eq!(scan(format!("{bad}\r\n\r\n")), Err(Fault::Status), "{bad}");
    }
}

#[test]
fn another_protocol_is_refused_by_its_first_bytes() {
    for begun in ["\u{16}\u{3}\u{1}", "S", "HTTP/2", "<html"] {
        assert_eq!(scan(begun), Err(Fault::Status), "{begun:?}");
    }
    for begun in ["", "H", "HTTP/1.", "\r", "\r\n", "\r\nHTT"] {
        assert_eq!(scan(begun), Ok(None), "{begun:?}");
    }
}

#[test]
fn a_head_has_its_bounds() {
    let of_headers = |count: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{}\r\n", "a: b\r\n".repeat(count - 1));
    assert!(head(&of_headers(PLAIN_HEADERS_MAX)).keeps_alive);
    assert!(!head(&of_headers(PLAIN_HEADERS_MAX + 1)).keeps_alive);
    assert_eq!(head(&of_headers(HEADERS_MAX)).headers.iter().count(), HEADERS_MAX);
    assert_eq!(scan(of_headers(HEADERS_MAX + 1)), Err(Fault::Many));
    let of_bytes = |bytes: usize| format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(bytes - 24));
    assert_eq!(of_bytes(100).len(), 100);
    assert_eq!(head(&of_bytes(HEAD_BYTES_MAX)).status, 200);
    assert_eq!(scan(of_bytes(HEAD_BYTES_MAX + 1)), Err(Fault::Large));
    assert_eq!(scan(&of_bytes(2 * HEAD_BYTES_MAX)[..HEAD_BYTES_MAX + 1]), Err(Fault::Large));
}

#[test]
fn interim_heads_are_skipped_up_to_their_bound() {
    let one = "HTTP/1.1 102 Processing\r\n\r\n";
    let fits = INTERIM_BYTES_MAX / one.len();
    assert_eq!(head(&format!("{}HTTP/1.1 204 No Content\r\n\r\n", one.repeat(fits))).status, 204);
    assert_eq!(scan(one.repeat(fits + 1)), Err(Fault::Interim));
    let switched = head("HTTP/1.1 101 Switching\r\n\r\n");
    assert_eq!((switched.status, switched.keeps_alive), (101, false));
}

#[test]
fn a_connection_that_is_to_be_closed_is_not_kept() {
    let keeps = |version: &str, header: &str| {
        head(&format!("HTTP/{version} 200 OK\r\ncontent-length: 0\r\n{header}\r\n\r\n")).keeps_alive
    };
    assert!(keeps("1.1", "connection: keep-alive"));
    assert!(!keeps("1.1", "Connection: Close"));
    assert!(!keeps("1.1", "connection: upgrade, close"));
    assert!(!keeps("1.0", "connection: keep-alive"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic_and_pieces_change_nothing(
        rest in "[ \\t\\r\\n:aZ0-9\\x00é]{0,60}",
        end in "(\\r\\n\\r\\n|\\n\\n|)",
        by in 1_usize..7,
    ) {
        let text = format!("HTTP/1.1 {rest}{end}");
        let whole = scan(&text);
        let (mut scanner, mut received, mut pieces) = (Scanner::default(), BytesMut::new(), Ok(None));
        for piece in text.as_bytes().chunks(by) {
            received.extend_from_slice(piece);
            pieces = scanner.scan(&mut received);
            if pieces != Ok(None) {
                break;
            }
        }
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn a_plain_head_is_read_as_it_was_sent(fields in prop::collection::vec(("[a-z-]{1,9}", "[!-~]{1,9}"), 0..9)) {
        let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n"));
        let read: Vec<_> = head.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        prop_assert_eq!(read, fields);
    }
}
