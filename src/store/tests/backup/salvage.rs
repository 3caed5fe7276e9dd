//! What can be read of a damaged store is saved, record by record.

use serde_json::Value;

use super::*;

/// The lines of a file of salvaged records.
fn lines(file: &Path) -> Vec<Value> {
    fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn salvaged(image: &Image) -> (Salvaged, Vec<Value>) {
    let (folder, out) = (image.write(), tempfile::tempdir().unwrap());
    let to = out.path().join("out.ndjson");
    let salvaged = salvage(&path(folder.path()), &to).unwrap();
    assert!(image.is_still(folder.path()), "no file of the store is changed");
    (salvaged, lines(&to))
}

fn data_of(lines: &[Value]) -> HashSet<String> {
    lines.iter().filter(|line| line["table"] == "event").map(|line| line["data"].to_string()).collect()
}

#[test]
fn every_record_of_a_killed_store_is_saved_with_what_its_journal_holds() {
    let lab = Lab::new();
    lab.add_more();
    let mut published = lab.publish_each(6);
    lab.settle();
    lab.deliver();
    published.extend(lab.publish_each(2));
    let (salvaged, lines) = salvaged(&lab.killed());
    assert_eq!(salvaged.saved["event"], published.len() as u64);
    assert!(salvaged.from_journals > 0 && salvaged.lost.is_empty() && salvaged.unread.is_empty(), "{salvaged:?}");
    assert_eq!(lines.len() as u64, salvaged.saved.values().sum::<u64>());
    let data = data_of(&lines);
    assert!(published.iter().all(|event| data.contains(&event.data)));
    let webhook = lines.iter().find(|line| line["table"] == "endpoint" && line["name"] == "ledger").expect("it is there");
    assert_eq!((&webhook["events"][0], &webhook["url"]), (&"order.*".into(), &"https://example.com/".into()));
    assert!(lines.iter().all(|line| !line.to_string().contains("whsec_")), "secrets are sealed");
    assert!(lines.iter().any(|line| line["table"] == "log" && line["status"] == "succeeded" && line["response_body"] == "done"));
}

#[test]
fn a_damaged_record_is_left_out_and_all_others_are_saved() {
    let lab = Lab::new();
    let published = lab.publish_each(8);
    lab.settle();
    let mut image = lab.stopped();
    let file = image.file("");
    let at = file.windows(11).position(|window| window == br#"{"number":3"#).expect("an event stands in the file");
    file[at + 9] ^= 1;
    let (salvaged, lines) = salvaged(&image);
    assert_eq!((salvaged.lost["event"], salvaged.saved["event"]), (1, published.len() as u64 - 1));
    assert_eq!(data_of(&lines).len(), 8, "of each number there are three events");
}

/// A page of the table of events says that it has more rows than fit: redb panics there, and what stands behind it is read from
/// the other end.
#[test]
fn behind_a_page_that_cannot_be_read_the_table_goes_on() {
    let lab = Lab::new();
    let published = lab.publish_each(60);
    lab.settle();
    let whole = lab.stopped();
    let numbers = |lines: &[Value]| -> HashSet<u64> {
        let events = lines.iter().filter(|line| line["table"] == "event");
        events.filter_map(|line| line["data"]["number"].as_u64()).collect()
    };
    let pages: Vec<usize> = {
        let file = whole.clone().file("").clone();
        let starts = (0..file.len() - 12).filter(|at| &file[*at..at + 12] == br#"{"number":30"#);
        starts.map(|at| at - at % 4_096).collect()
    };
    let mut ends = Vec::new();
    for page in pages {
        let mut image = whole.clone();
        image.file("")[page + 2..page + 4].fill(0xff);
        let (folder, out) = (image.write(), tempfile::tempdir().unwrap());
        let to = out.path().join("out.ndjson");
        let salvaged = salvage(&path(folder.path()), &to).unwrap();
        let there = numbers(&lines(&to));
        assert!(there.contains(&0) && there.contains(&59), "{there:?}");
        assert_eq!(salvaged.saved["endpoint"], 4, "{salvaged:?}");
        let is_all = salvaged.saved["event"] == published.len() as u64;
        ends.push(if is_all { "an old page" } else { "the rest is saved" });
    }
    assert!(ends.contains(&"the rest is saved"), "{ends:?}");
}

#[test]
fn a_file_that_is_there_is_not_written_over() {
    let lab = Lab::new();
    let folder = lab.stopped().write();
    let out = folder.path().join("out");
    fs::write(&out, "Dear Ada").unwrap();
    let told = salvage(&path(folder.path()), &out).unwrap_err().to_string();
    assert!(told.contains("out") && fs::read(&out).unwrap() == b"Dear Ada", "{told}");
    let none = tempfile::tempdir().unwrap();
    assert!(salvage(&path(none.path()), &none.path().join("out")).is_err());
    assert_eq!(fs::read_dir(none.path()).unwrap().count(), 0);
}
