//! The keys that were revoked lately.

use std::collections::{HashSet, VecDeque};

use crate::domain::access::KeyHash;

/// The last [`REVOKED_MAX`] revoked keys. Older ones are forgotten, and count as unknown keys.
#[derive(Debug, Default)]
pub(in crate::store) struct Revoked {
    known: HashSet<KeyHash>,
    /// The keys from the oldest to the newest. A key that was made valid again stays in it until it is the oldest.
    order: VecDeque<KeyHash>,
}

impl Revoked {
    pub(in crate::store) fn contains(&self, hash: &KeyHash) -> bool {
        self.known.contains(hash)
    }

    pub(in crate::store) fn insert(&mut self, hash: KeyHash) {
        if !self.known.insert(hash) {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > REVOKED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Takes note that the key is valid again.
    pub(in crate::store) fn remove(&mut self, hash: &KeyHash) {
        self.known.remove(hash);
    }
}

/// The number of revoked keys that are remembered, some 100 bytes each. An event sent with a key waits for seconds at most, and
/// providers revoke some sixty keys a minute.
const REVOKED_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: usize) -> KeyHash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash
    }

    #[test]
    fn the_oldest_revoked_keys_are_forgotten() {
        let mut revoked = Revoked::default();
        (0..REVOKED_MAX + 2).for_each(|number| revoked.insert(hash(number)));
        assert_eq!([0, 1, 2, REVOKED_MAX + 1].map(|number| revoked.contains(&hash(number))), [false, false, true, true]);
        for _ in 0..2 * REVOKED_MAX {
            revoked.remove(&hash(7));
            assert!(!revoked.contains(&hash(7)));
            revoked.insert(hash(7));
        }
        assert!(revoked.known.len() <= REVOKED_MAX && revoked.order.len() <= REVOKED_MAX);
    }
}
