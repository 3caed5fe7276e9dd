//! Who has a place among the streams. Places are few, so nobody may take all of them: a tenant or a provider has a share, and some are
//! kept for operators.

use std::collections::HashMap;

/// The places that are taken.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    taken: usize,
    /// The parties that have places. Operators are none.
    parties: HashMap<u64, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crowded {
    /// All places are taken that the caller may have.
    All,
    /// The caller's tenant or provider has its share.
    Share,
}

impl Seats {
    /// So many places.
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: 0, parties: HashMap::new() }
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Takes a place for a party, or for an operator.
    pub(super) fn take(&mut self, party: Option<u64>) -> Result<(), Crowded> {
        let kept = if party.is_some() { self.most / KEPT } else { 0 };
        if self.taken >= self.most - kept {
            return Err(Crowded::All);
        }
        if let Some(party) = party {
            let theirs = self.parties.entry(party).or_default();
            if *theirs >= self.most / SHARES {
                return Err(Crowded::Share);
            }
            *theirs += 1;
        }
        self.taken += 1;
        Ok(())
    }

    /// Gives a place back.
    pub(super) fn give_back(&mut self, party: Option<u64>) {
        self.taken -= 1;
        if let Some(party) = party
            && let Some(theirs) = self.parties.get_mut(&party)
        {
            *theirs -= 1;
            if *theirs == 0 {
                self.parties.remove(&party);
            }
        }
    }
}

/// A party has at most this part of the places, as it has of the memory for answers.
const SHARES: usize = 4;

/// This part of the places is kept for operators.
const KEPT: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes places until there is none more.
    fn filled(seats: &mut Seats, party: Option<u64>) -> (usize, Crowded) {
        let mut taken = 0;
        loop {
            match seats.take(party) {
                Ok(()) => taken += 1,
                Err(crowded) => return (taken, crowded),
            }
        }
    }

    #[test]
    fn a_tenant_takes_a_quarter_and_operators_find_a_place() {
        let mut seats = Seats::new(1_000);
        for party in 1..=3 {
            assert_eq!(filled(&mut seats, Some(party)), (250, Crowded::Share));
        }
        assert_eq!(filled(&mut seats, Some(4)), (200, Crowded::All), "50 are kept");
        assert_eq!(filled(&mut seats, None), (50, Crowded::All));
        seats.give_back(Some(1));
        assert_eq!(seats.take(Some(1)), Err(Crowded::All));
        assert_eq!((seats.take(None), seats.taken()), (Ok(()), 1_000));
    }

    #[test]
    fn a_place_comes_back_and_nothing_is_kept_of_its_party() {
        let mut seats = Seats::new(8);
        for _ in 0..9 {
            assert_eq!((seats.take(Some(7)), seats.taken()), (Ok(()), 1));
            seats.give_back(Some(7));
        }
        assert!(seats.taken() == 0 && seats.parties.is_empty());
    }
}
