//! What each table is said to take of the file.

use super::*;

#[test]
fn every_table_is_measured_and_their_rows_are_counted() {
    let lab = Lab::new();
    let published = lab.publish_each(7);
    lab.settle();
    let sizes = lab.runtime.block_on(lab.store.table_sizes()).unwrap();
    let of = |name: &str| *sizes.iter().find(|size| size.name == name).expect("it is measured");
    assert_eq!(sizes.len(), schema::NAMES.len());
    assert_eq!((of("event").rows, of("endpoint").rows), (published.len() as u64, 4));
    let data: usize = published.iter().map(|event| event.data.len()).sum();
    assert!(of("event").bytes > data as u64 && of("event").file_bytes >= of("event").bytes, "{:?}", of("event"));
    assert_eq!((of("quarantine").rows, of("quarantine").bytes), (0, 0));
    let file = fs::metadata(path(lab.folder.path())).unwrap().len();
    assert!(sizes.iter().map(|size| size.file_bytes).sum::<u64>() <= file);
}
