//! Keys of the config file: what came with one that left the file is not taken, though it waited already.

use super::*;
use crate::domain::access::KeyHash;

#[test]
fn what_came_with_a_key_that_left_the_file_is_not_taken() {
    let lab = Lab::new();
    let key = Key { id: "key_file_ci".into(), name: "ci".into(), role: Role::Operator, hash: [7; 32], created_at: clock::now() };
    let publish = || {
        let publication =
            Publication::of_type_and_data("shop".into(), "acme".into(), standard(), "order.paid", "1".to_owned().into());
        let publication = Publication { by: Some(Arc::new(key.clone())), ..publication };
        lab.runtime.block_on(lab.store.accept_one(publication)).map(drop)
    };
    for (keys, taken) in [(vec![[7; 32], [8; 32]], true), (vec![[8; 32]], false), (vec![[7; 32]], true)] {
        sync(&lab, keys);
        assert_eq!(publish().is_ok(), taken);
    }
    sync(&lab, vec![]);
    assert!(matches!(publish(), Err(Refusal::KeyRevoked)));
}

fn sync(lab: &Lab, keys: Vec<KeyHash>) {
    let dialects = vec![("shop".into(), standard())];
    let webhooks = [("ledger", "order.*"), ("till", "sale.*")].map(from_file).to_vec();
    let file = FileSays { dialects, tenants: vec![owned()], keys: keys.into_iter().collect(), webhooks };
    lab.runtime.block_on(lab.store.sync(file)).unwrap();
}
