//! Cursors in entity groups, which are kept between queries: who steps on reads one update and not a keyframe and all that
//! follows it.

use std::sync::{Arc, Mutex, PoisonError};

use siltstone::Result;
use siltstone::simulation::json::Schema;
use siltstone::simulation::{GroupCursor, Results, ResultsOptions, Time, Timeline};

use crate::source::Source;

/// The most cursors that are kept, and the most bytes of states that they hold together, roughly.
const MOST: usize = 12;
const MOST_BYTES: usize = 96 << 20;
/// So many steps before the one that was asked for a mark is left, for who steps backwards.
const STEPS_BACK: usize = 8;

/// A place in time in a group.
pub(crate) struct Place {
    turn: u64,
    names: (String, String),
    pub(crate) cursor: GroupCursor,
    pub(crate) schema: Schema,
    pub(crate) timeline: Option<Timeline>,
    /// The times of the group when the place was made.
    times: Arc<[i64]>,
    /// Whether it stays where it is, and others begin from it.
    is_mark: bool,
}

impl Place {
    /// Bytes that the cursor holds, roughly: of the state, and of the one that it begins from, ids, where each is, and values.
    fn size_bytes(&self) -> usize {
        self.cursor.ids().len() * 2 * (68 + 9 * self.cursor.attributes().len())
    }

    fn fork(&self) -> Self {
        Place {
            turn: self.turn,
            names: self.names.clone(),
            cursor: self.cursor.clone(),
            schema: self.schema.clone(),
            timeline: self.timeline,
            times: self.times.clone(),
            is_mark: false,
        }
    }

    /// Some changes before a time, if the group has as many.
    fn some_before(&self, timestamp: i64) -> Option<i64> {
        let until = self.times.partition_point(|time| *time <= timestamp);
        until.checked_sub(STEPS_BACK + 1).map(|at| self.times[at])
    }
}

/// Cursors that nobody uses just now, those used last at the end.
#[derive(Default)]
pub(crate) struct Cursors {
    free: Mutex<Vec<Place>>,
}

impl Cursors {
    /// Forgets all: another file is opened.
    pub(crate) fn clear(&self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The cursor of this group that has the shortest way to a time: the last one at or before it, else any.
    fn take(&self, turn: u64, names: (&str, &str), at: i64) -> Option<Place> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.retain(|place| place.turn == turn);
        let is_of = |place: &Place| (place.names.0.as_str(), place.names.1.as_str()) == names;
        let rank = |place: &Place| {
            let stands = place.cursor.timestamp();
            (stands <= at, if stands <= at { stands } else { i64::MIN })
        };
        let found = free.iter().enumerate().filter(|(_, place)| is_of(place));
        let found = found.max_by_key(|(_, place)| rank(place)).map(|(i, _)| i)?;
        let place = free.remove(found);
        if !place.is_mark {
            return Some(place);
        }
        let fork = place.fork();
        free.push(place);
        Some(fork)
    }

    fn give(&self, place: Place) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(place);
        let size = |free: &[Place]| free.iter().map(Place::size_bytes).sum::<usize>();
        while free.len() > MOST || (free.len() > 1 && size(&free) > MOST_BYTES) {
            free.remove(0);
        }
    }
}

/// Works with a cursor at a time: an integer, or ISO 8601 where the run has a timeline; the end without one.
///
/// # Errors
/// [`siltstone::Error::NotFound`] for another dataset or group, [`siltstone::Error::Invalid`] for a time that is none, and
/// what the work says.
pub(crate) fn at<T>(
    source: &Source,
    names: (&str, &str),
    at: Option<&str>,
    work: impl FnOnce(&Place) -> Result<T>,
) -> Result<T> {
    let (turn, handle) = source.opened()?;
    let open = || Results::over(handle.simulation()?, ResultsOptions::default());
    let timestamp = match at {
        None => i64::MAX,
        Some(text) => match text.parse() {
            Ok(timestamp) => timestamp,
            Err(_) => Time::Text(text.to_owned()).to_timestamp(open()?.timeline())?,
        },
    };
    let mut place = match source.cursors.take(turn, names, timestamp) {
        Some(place) => place,
        None => {
            let results = open()?;
            let dataset = results.dataset(names.0)?;
            Place {
                turn,
                names: (names.0.to_owned(), names.1.to_owned()),
                cursor: dataset.cursor(names.1, &Time::Timestamp(timestamp))?,
                schema: results.schema().clone(),
                timeline: results.timeline().copied(),
                times: dataset.timestamps(Some(names.1))?.into(),
                is_mark: false,
            }
        }
    };
    if timestamp < place.cursor.timestamp()
        && let Some(before) = place.some_before(timestamp)
    {
        place.cursor.move_to(before)?;
        source.cursors.give(Place { is_mark: true, ..place.fork() });
    }
    place.cursor.move_to(timestamp)?;
    let done = work(&place);
    source.cursors.give(place);
    done
}
