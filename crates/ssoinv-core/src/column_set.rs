//! A set of columns of one table, by their indices in its schema.
//!
//! Plans use it for the columns that a user wants, rows for the columns that could not be read. Nearly every row
//! misses nothing, and pages hold thousands of rows, so a small set takes no heap.

use std::fmt;

/// Bits in one word of the set.
const BITS: usize = u64::BITS as usize;

/// Words that need no heap.
const INLINE: usize = 2;

/// A set of column indices.
///
/// Indices below 128 are stored inline; the heap is used only for larger ones.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ColumnSet {
    inline: [u64; INLINE],
    /// Words beyond [`ColumnSet::inline`]. The last word is never zero, so that equal sets compare equal.
    rest: Vec<u64>,
}

impl ColumnSet {
    /// Returns an empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { inline: [0; INLINE], rest: Vec::new() }
    }

    /// Returns the set of the indices below `columns`.
    #[must_use]
    pub fn full(columns: usize) -> Self {
        (0..columns).collect()
    }

    /// Adds a column. Returns false if the column was already in the set.
    pub fn insert(&mut self, column: usize) -> bool {
        let (word, bit) = (column / BITS, 1 << (column % BITS));
        if word >= INLINE && word - INLINE >= self.rest.len() {
            self.rest.resize(word - INLINE + 1, 0);
        }
        let word = if word < INLINE { &mut self.inline[word] } else { &mut self.rest[word - INLINE] };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Removes a column. Returns false if the column was not in the set.
    pub fn remove(&mut self, column: usize) -> bool {
        if !self.contains(column) {
            return false;
        }
        let (word, bit) = (column / BITS, 1 << (column % BITS));
        if word < INLINE {
            self.inline[word] &= !bit;
        } else {
            self.rest[word - INLINE] &= !bit;
            while self.rest.last() == Some(&0) {
                self.rest.pop();
            }
        }
        true
    }

    /// Returns true if the set holds `column`.
    #[must_use]
    pub fn contains(&self, column: usize) -> bool {
        self.word(column / BITS) & (1 << (column % BITS)) != 0
    }

    /// Returns true if the set holds no column.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inline == [0; INLINE] && self.rest.is_empty()
    }

    /// Adds every column of `other`.
    pub fn union(&mut self, other: &Self) {
        for (word, other) in self.inline.iter_mut().zip(other.inline) {
            *word |= other;
        }
        if self.rest.len() < other.rest.len() {
            self.rest.resize(other.rest.len(), 0);
        }
        for (word, other) in self.rest.iter_mut().zip(&other.rest) {
            *word |= other;
        }
    }

    /// Lists the columns in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..INLINE + self.rest.len()).flat_map(|index| {
            let word = self.word(index);
            (0..BITS).filter(move |bit| word & (1 << bit) != 0).map(move |bit| index * BITS + bit)
        })
    }

    fn word(&self, index: usize) -> u64 {
        let word = if index < INLINE { self.inline.get(index) } else { self.rest.get(index - INLINE) };
        word.copied().unwrap_or_default()
    }
}

impl FromIterator<usize> for ColumnSet {
    fn from_iter<I: IntoIterator<Item = usize>>(columns: I) -> Self {
        let mut set = Self::new();
        for column in columns {
            set.insert(column);
        }
        set
    }
}

impl fmt::Debug for ColumnSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_set_takes_no_heap() {
        let set = ColumnSet::full(INLINE * BITS);
        assert_eq!(set.rest.capacity(), 0);
        assert_eq!(set.iter().count(), INLINE * BITS);
        assert!(ColumnSet::new().is_empty() && ColumnSet::full(0).is_empty());
        assert_eq!(format!("{:?}", ColumnSet::from_iter([130, 2])), "{2, 130}");
    }

    proptest! {
        /// The set behaves as the standard library's, and equal sets compare equal whatever their history.
        #[test]
        fn it_behaves_as_a_set_of_numbers(
            steps in prop::collection::vec((any::<bool>(), 0..300_usize), 0..60),
            others in prop::collection::vec(0..300_usize, 0..20),
        ) {
            let (mut set, mut expected) = (ColumnSet::new(), BTreeSet::new());
            for (insert, column) in steps {
                if insert {
                    prop_assert_eq!(set.insert(column), expected.insert(column));
                } else {
                    prop_assert_eq!(set.remove(column), expected.remove(&column));
                }
                prop_assert_eq!(set.contains(column), insert);
            }
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), expected.clone());
            prop_assert_eq!(set.is_empty(), expected.is_empty());
            prop_assert_eq!(&set, &expected.iter().copied().collect());
            set.union(&others.iter().copied().collect());
            expected.extend(others);
            prop_assert_eq!(&set, &expected.into_iter().collect());
        }
    }
}
