//! A row of the queue: URLs of one class of a host that became known in one commit, in the order of their places.
//!
//! Knows how the elements stand in a row, and nothing of what they mean. A row of one is the element itself; a row of several
//! begins with [`SEVERAL`], a version byte that no element has, then their count and each with its length. Most links of a page
//! lead to its own host: one row instead of a dozen is what the engine has to sort, merge and drop.

use fjall::Slice;

use super::disk::odd;
use crate::error::StoreError;
use crate::store::machine::gone::Span;

/// The first byte of a row of several (version 1 of that form).
const SEVERAL: u8 = 0x80;
/// URLs in a row; a lease reads whole rows, and has some dozens of URLs.
const URLS_MAX: u8 = 64;
/// Bytes of a row, unless its only element is longer.
const BYTES_MAX: usize = 8 << 10;
/// What stands before the elements of several.
const HEAD: usize = 2;
/// What stands before each of several.
const LENGTH: usize = 2;

/// Adds an element with its length before it. The length of one that is longer than it can tell is never read: it stands
/// alone.
fn push(bytes: &mut Vec<u8>, element: &[u8]) {
    let length = u16::try_from(element.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(element);
}

/// A row that is being made.
pub(super) struct RowMade {
    first: u64,
    count: u8,
    bytes: Vec<u8>,
}

impl RowMade {
    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            count: 0,
            bytes: vec![SEVERAL, 0],
        }
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Adds the element of this place; false if it does not belong into this row any more.
    #[must_use]
    pub(super) fn add(&mut self, place: u64, element: &[u8]) -> bool {
        let is_next = self.first.checked_add(u64::from(self.count)) == Some(place);
        let has_room = self.count < URLS_MAX
            && (self.count == 0 || self.bytes.len() + LENGTH + element.len() <= BYTES_MAX);
        if !is_next || !has_room {
            return false;
        }
        self.count += 1;
        push(&mut self.bytes, element);
        true
    }

    /// What is stored, at the first place.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.count == 1 {
            return self.bytes.split_off(HEAD + LENGTH);
        }
        self.bytes[1] = self.count;
        self.bytes
    }
}

/// A row as it is stored.
pub(super) struct Row {
    pub(super) first: u64,
    pub(super) bytes: Slice,
}

impl Row {
    /// The places that it holds.
    pub(super) fn span(&self) -> Span {
        let len = match *self.bytes {
            [SEVERAL, count, ..] => u32::from(count),
            _ => 1,
        };
        Span {
            first: self.first,
            len,
        }
    }

    /// Its elements, each with its place.
    ///
    /// # Errors
    /// [`StoreError::Value`] for a row that ends before its last element.
    pub(super) fn elements(&self) -> impl Iterator<Item = Result<(u64, &[u8]), StoreError>> {
        let is_several = self.bytes.first() == Some(&SEVERAL);
        let mut rest = match is_several {
            true => self.bytes.get(HEAD..).unwrap_or_default(),
            false => &self.bytes,
        };
        let span = self.span();
        (span.first..span.end()).map(move |place| {
            if !is_several {
                return Ok((place, rest));
            }
            let cut = || odd("row of the queue");
            let (length, after) = rest.split_first_chunk::<LENGTH>().ok_or_else(cut)?;
            let length = usize::from(u16::from_le_bytes(*length));
            let (element, after) = after.split_at_checked(length).ok_or_else(cut)?;
            rest = after;
            Ok((place, element))
        })
    }

    /// The element at a place.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if the row does not hold the place, else as [`Row::elements`].
    pub(super) fn element(&self, place: u64) -> Result<&[u8], StoreError> {
        let found = self.elements().find_map(|element| match element {
            Ok((at, element)) => (at == place).then_some(Ok(element)),
            Err(error) => Some(Err(error)),
        });
        found.unwrap_or(Err(StoreError::Missing { what: "queued URL" }))
    }

    /// The row with another element at this place.
    ///
    /// # Errors
    /// As [`Row::elements`].
    pub(super) fn with(&self, place: u64, other: &[u8]) -> Result<Vec<u8>, StoreError> {
        if self.span().len == 1 {
            return Ok(other.to_vec());
        }
        let mut bytes = Vec::with_capacity(self.bytes.len() + other.len());
        bytes.extend_from_slice(&self.bytes[..HEAD]);
        for element in self.elements() {
            let (at, element) = element?;
            let element = if at == place { other } else { element };
            push(&mut bytes, element);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stored(made: RowMade) -> Row {
        Row {
            first: made.first(),
            bytes: made.finish().into(),
        }
    }

    proptest! {
        #[test]
        fn elements_come_back_in_their_places(elements in prop::collection::vec(prop::collection::vec(1u8..5, 1..400), 1..90), first in 0u64..1_000) {
            let (mut rows, mut made) = (Vec::new(), RowMade::new(first));
            for (place, element) in (first..).zip(&elements) {
                if !made.add(place, element) {
                    rows.push(stored(std::mem::replace(&mut made, RowMade::new(place))));
                    prop_assert!(made.add(place, element));
                }
            }
            rows.push(stored(made));
            let found = rows.iter().flat_map(Row::elements);
            let found: Vec<(u64, &[u8])> = found.collect::<Result<_, _>>().unwrap();
            let wanted = (first..).zip(elements.iter().map(Vec::as_slice));
            prop_assert_eq!(found, wanted.collect::<Vec<_>>());
            for row in &rows {
                prop_assert!(row.bytes.len() <= BYTES_MAX, "{} bytes", row.bytes.len());
                let place = row.first + u64::from(row.span().len / 2);
                let other = Row { first: row.first, bytes: row.with(place, &[9, 9]).unwrap().into() };
                prop_assert_eq!(other.element(place).unwrap(), &[9, 9]);
                prop_assert_eq!(other.span(), row.span());
                for at in (row.first..row.span().end()).filter(|&at| at != place) {
                    prop_assert_eq!(other.element(at).unwrap(), row.element(at).unwrap());
                }
            }
        }
    }

    #[test]
    fn a_row_that_is_cut_is_an_error_and_no_panic() {
        let mut made = RowMade::new(7);
        assert!(made.add(7, &[1, 2, 3]) && made.add(8, &[1, 4]));
        assert!(!made.add(10, &[1]), "a place is missing");
        let whole = made.finish();
        for cut in 1..whole.len() {
            let row = Row {
                first: 7,
                bytes: whole[..cut].into(),
            };
            let read = row.elements().collect::<Result<Vec<_>, _>>();
            // Of the first byte alone nobody can tell how many there were.
            assert!(
                read.is_err() || read.is_ok_and(|all| all.len() < 2),
                "{cut} bytes"
            );
        }
    }
}
