//! The event types that a provider adds have a bound of their own in memory.

use super::*;

#[test]
fn a_catalogue_takes_so_many_bytes_and_may_always_shrink() {
    let lab = Lab::new();
    let taken: Vec<bool> = (0..20).map(|number| lab.put(&format!("a.{number}"), 256 << 10).is_ok()).collect();
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 15, "with its name each is somewhat more than a sixteenth");
    let refused = lab.put("a.20", 256 << 10).unwrap_err();
    assert!(refused.to_string().contains("4 MiB"), "{refused}");
    assert_eq!(lab.put("a.0", 255 << 10), Ok(()));
    assert_eq!(lab.put("b", 10), Ok(()), "a small one has room");
    lab.runtime.block_on(lab.store.by_test().drop_event_type("shop", "a.1")).unwrap();
    assert_eq!(lab.put("a.20", 256 << 10), Ok(()));
}

#[test]
fn types_that_come_at_once_have_no_more_room() {
    let lab = Lab::new();
    let mut all = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (store, one) = (lab.store.clone(), event_type(&format!("a.{number}"), 256 << 10));
        all.spawn_on(async move { store.by_test().put_event_type("shop", one).await.is_ok() }, lab.runtime.handle());
    }
    let taken = lab.runtime.block_on(all.join_all());
    assert!(taken.iter().filter(|taken| **taken).count() <= 15);
}

impl Lab {
    fn put(&self, name: &str, bytes: usize) -> Result<(), Denied> {
        self.runtime.block_on(self.store.by_test().put_event_type("shop", event_type(name, bytes)))
    }
}

fn event_type(name: &str, bytes: usize) -> EventType {
    let example = format!("\"{}\"", "x".repeat(bytes - 2));
    EventType {
        name: name.into(),
        description: "".into(),
        example: example.into(),
        ours: false,
        version: 1,
        ..EventType::default()
    }
}
