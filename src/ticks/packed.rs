//! Ticks of one symbol as a column block, and back.
//!
//! Columns: `time_ns` i64, `bid` f64, then `ask` or `spread` (whichever is smaller and gives the other
//! bit for bit; both where neither does), then the origin as text, a JSON list
//! `[source, broker, offset from UTC in s]`.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray};

use super::tick::{Origin, Origins, Ticks, Wanted};
use crate::array::block::{self, Block, Effort, Item, PIECE_ROWS};
use crate::array::large;
use crate::error::{Error, Result};
use crate::kernel::both;

/// The most ticks in a block.
pub(super) const BLOCK_ROWS: usize = 4 * PIECE_ROWS;
/// A block with fewer ticks is joined with those that come behind it.
pub(super) const SHORT_ROWS: usize = PIECE_ROWS / 2;
/// Ticks that are worth a thread.
const WORTH: usize = 4 * PIECE_ROWS;
/// Ticks in the last block where there are many: what is asked for most are the last ones, and a piece is
/// unpacked as a whole.
const TAIL_ROWS: usize = 512;

/// Which of the columns ask and spread a block keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Ask,
    Spread,
    Both,
}

impl Kept {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kept::Ask => "ask",
            Kept::Spread => "spread",
            Kept::Both => "both",
        }
    }

    pub(super) fn of(name: &str) -> Result<Self> {
        match name {
            "ask" => Ok(Kept::Ask),
            "spread" => Ok(Kept::Spread),
            "both" => Ok(Kept::Both),
            other => Err(damaged(format!("it keeps {other:?}"))),
        }
    }

    /// The column of the origin.
    fn origin_column(self) -> usize {
        if self == Kept::Both { 4 } else { 3 }
    }
}

/// A block to be stored.
pub(super) struct Packed {
    pub(super) first_ns: i64,
    pub(super) last_ns: i64,
    pub(super) rows: usize,
    pub(super) min_bid: f64,
    pub(super) max_bid: f64,
    pub(super) kept: Kept,
    pub(super) data: Vec<u8>,
}

impl Packed {
    /// The block's own checksum, which lies at the end of its header.
    pub(super) fn checksum(&self) -> &[u8] {
        block::stored_checksum(&self.data)
    }
}

/// Packs ticks, rising in time, into blocks of about equal size; of many, the last ones into a
/// short block of their own.
pub(super) fn pack(ticks: &Ticks) -> Result<Vec<Packed>> {
    let tail = if ticks.len() > 2 * PIECE_ROWS { TAIL_ROWS } else { 0 };
    let n = ticks.len() - tail;
    let blocks = n.div_ceil(BLOCK_ROWS);
    let words: ArrayRef = Arc::new(StringArray::from_iter_values(ticks.origins.iter().map(word)));
    let mut choice = None;
    (0..blocks)
        .map(|i| i * n / blocks..(i + 1) * n / blocks)
        .chain((tail > 0).then_some(n..n + tail))
        .map(|range| pack_one(ticks, range, &words, &mut choice))
        .collect()
}

fn pack_one(
    ticks: &Ticks,
    range: Range<usize>,
    words: &ArrayRef,
    choice: &mut Option<Kept>,
) -> Result<Packed> {
    let (time, bid) = (&ticks.time_ns[range.clone()], &ticks.bid[range.clone()]);
    let (ask, spread) = (&ticks.ask[range.clone()], &ticks.spread[range.clone()]);
    let floats = |items: &[f64]| -> ArrayRef { Arc::new(Float64Array::from(items.to_vec())) };
    let times: ArrayRef = Arc::new(Int64Array::from(time.to_vec()));
    let bids = floats(bid);
    let origin = ticks.origin[range].iter().map(|origin| *origin as i32);
    let origin =
        DictionaryArray::<Int32Type>::try_new(Int32Array::from_iter_values(origin), words.clone());
    let origin = origin.map_err(|e| Error::invalid("ticks", "an origin each", e.to_string()))?;
    let origin: ArrayRef = Arc::new(origin);
    let encode = |kept: Kept| {
        let prices = match kept {
            Kept::Ask => vec![floats(ask)],
            Kept::Spread => vec![floats(spread)],
            Kept::Both => vec![floats(ask), floats(spread)],
        };
        let before = [times.clone(), bids.clone()];
        let columns = before.into_iter().chain(prices).chain([origin.clone()]);
        block::encode(&columns.collect::<Vec<_>>(), Effort::Compact)
    };
    let by_ask = same(spread, ask.iter().zip(bid).map(|(ask, bid)| ask - bid));
    let by_spread = same(ask, bid.iter().zip(spread).map(|(bid, spread)| bid + spread));
    let (kept, data) = match (by_ask, by_spread, *choice) {
        (false, false, _) => (Kept::Both, encode(Kept::Both)?),
        (true, false, _) => (Kept::Ask, encode(Kept::Ask)?),
        (false, true, _) => (Kept::Spread, encode(Kept::Spread)?),
        // What was smaller in the block before is tried alone.
        (true, true, Some(kept)) => (kept, encode(kept)?),
        (true, true, None) => {
            let (a, s) = (encode(Kept::Ask)?, encode(Kept::Spread)?);
            let best = if a.len() <= s.len() { (Kept::Ask, a) } else { (Kept::Spread, s) };
            *choice = Some(best.0);
            best
        }
    };
    let bids = || bid.iter().copied();
    Ok(Packed {
        first_ns: time[0],
        last_ns: time[time.len() - 1],
        rows: time.len(),
        min_bid: bids().fold(f64::INFINITY, f64::min),
        max_bid: bids().fold(f64::NEG_INFINITY, f64::max),
        kept,
        data,
    })
}

fn same(given: &[f64], rebuilt: impl Iterator<Item = f64>) -> bool {
    given.iter().zip(rebuilt).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// A block out of a file.
pub(super) struct Stored {
    id: i64,
    kept: Kept,
    block: Block<'static>,
}

/// Some ticks of a block.
pub(super) type Chosen = (Stored, Range<usize>);

impl Stored {
    /// A block from its bytes, and which of the columns ask and spread it keeps.
    pub(super) fn open(id: i64, kept: &str, data: &[u8]) -> Result<Self> {
        let open =
            || Ok(Stored { id, kept: Kept::of(kept)?, block: Block::open(data)?.into_owned() });
        open().map_err(|error| in_block(error, id))
    }

    /// All of its ticks.
    pub(super) fn all(&self) -> Range<usize> {
        0..self.block.rows()
    }

    /// The pieces that have ticks between two times, both inclusive.
    pub(super) fn between(&self, from_ns: i64, to_ns: i64) -> Result<Range<usize>> {
        self.block.rows_between(0, from_ns, to_ns).map_err(|error| in_block(error, self.id))
    }

    /// The ticks of each piece, with their first and last time.
    pub(super) fn pieces(&self) -> Result<Vec<(Range<usize>, i64, i64)>> {
        self.block.ranges(0).map_err(|error| in_block(error, self.id))
    }

    /// The last `n` ticks up to a time, and the rest of their piece.
    pub(super) fn last(&self, n: usize, to_ns: i64) -> Result<Range<usize>> {
        self.block.last_rows(0, n, to_ns).map_err(|error| in_block(error, self.id))
    }

    /// Holds the header against the ticks; the first and last time that it says.
    pub(super) fn check_header(&self) -> Result<Option<(i64, i64)>> {
        self.block.verify()?;
        self.block.range(0)
    }

    /// Appends the times of these ticks.
    pub(super) fn times(&self, rows: Range<usize>, out: &mut Vec<i64>) -> Result<()> {
        let start = out.len();
        self.block.read(0, rows, out).map_err(|error| in_block(error, self.id))?;
        match out[start..].is_sorted() {
            true => Ok(()),
            false => Err(in_block(damaged("its times do not rise".into()), self.id)),
        }
    }

    fn column<T: Item>(&self, column: usize, rows: &Range<usize>, out: &mut Vec<T>) -> Result<()> {
        self.block.read(column, rows.clone(), out).map_err(|error| in_block(error, self.id))
    }

    /// Appends what is kept of ask and spread, and zeros in place of what is not.
    fn second(&self, rows: &Range<usize>, ask: &mut Vec<f64>, spread: &mut Vec<f64>) -> Result<()> {
        match self.kept {
            Kept::Ask => self.column(2, rows, ask)?,
            Kept::Spread => self.column(2, rows, spread)?,
            Kept::Both => {
                self.column(2, rows, ask)?;
                self.column(3, rows, spread)?;
            }
        }
        let n = ask.len().max(spread.len());
        ask.resize(n, 0.0);
        spread.resize(n, 0.0);
        Ok(())
    }

    /// Appends the numbers of the origins.
    fn origins(&self, rows: &Range<usize>, origins: &Origins, out: &mut Vec<u32>) -> Result<()> {
        let mut read = || {
            let text = self.block.words(self.kept.origin_column(), rows.clone())?;
            let numbers = text.words.iter().map(|word| {
                let origin = origin_of(word)?;
                origins.number(&origin.lp, &origin.broker_id, origin.utc_offset_s)
            });
            let numbers = numbers.collect::<Result<Vec<u32>>>()?;
            out.extend(text.codes.iter().map(|code| numbers[*code as usize]));
            Ok(())
        };
        read().map_err(|error| in_block(error, self.id))
    }
}

/// Appends what else is wanted of ticks whose times are there. Of many, bids and what stands beside them are unpacked at the same
/// time.
pub(super) fn unpack(
    blocks: &[Chosen],
    wanted: Wanted,
    origins: &Origins,
    out: &mut Ticks,
) -> Result<()> {
    if wanted == Wanted::Times {
        return Ok(());
    }
    let Ticks { bid, ask, spread, origin, .. } = out;
    let start = bid.len();
    let count: usize = blocks.iter().map(|(_, rows)| rows.len()).sum();
    // Where there is no memory, whoever fills it says so.
    let _ = large::reserve(bid, count).and(large::reserve(ask, count));
    if wanted == Wanted::All {
        let _ = large::reserve(spread, count).and(large::reserve(origin, count));
    }
    let bids = || blocks.iter().try_for_each(|(block, rows)| block.column(1, rows, bid));
    let others = || {
        blocks.iter().try_for_each(|(block, rows)| {
            if wanted == Wanted::Prices {
                return block.column(2, rows, ask);
            }
            block.second(rows, ask, spread)?;
            block.origins(rows, origins, origin)
        })
    };
    let (bids, others) = both(count >= WORTH, bids, others);
    bids.and(others)?;
    let mut at = start;
    for (block, rows) in blocks {
        let range = at..at + rows.len();
        at = range.end;
        let (bid, ask) = (&out.bid[range.clone()], &mut out.ask[range.clone()]);
        let spread = if wanted == Wanted::All { &mut out.spread[range] } else { &mut [][..] };
        let of_bid = bid.iter().zip(ask);
        match (block.kept, wanted) {
            (Kept::Spread, Wanted::Prices) => of_bid.for_each(|(bid, ask)| *ask += bid),
            (Kept::Spread, _) => of_bid.zip(spread).for_each(|((bid, ask), s)| *ask = bid + *s),
            (Kept::Ask, _) => of_bid.zip(spread).for_each(|((bid, ask), s)| *s = *ask - bid),
            (Kept::Both, _) => {}
        }
    }
    Ok(())
}

/// Says which block was damaged.
fn in_block(error: Error, id: i64) -> Error {
    match error {
        Error::Corrupt { location, why, .. } => {
            Error::Corrupt { location, what: format!("tick_block row {id}"), why }
        }
        other => other,
    }
}

fn word(origin: &Origin) -> String {
    serde_json::json!([origin.lp, origin.broker_id, origin.utc_offset_s]).to_string()
}

fn origin_of(word: &str) -> Result<Origin> {
    let parsed: Result<(String, String, i32), _> = serde_json::from_str(word);
    let (lp, broker_id, utc_offset_s) =
        parsed.map_err(|_| damaged(format!("an origin is {word:?}")))?;
    Ok(Origin { lp, broker_id, utc_offset_s })
}

fn damaged(why: String) -> Error {
    Error::Corrupt { location: String::new(), what: "a block of ticks".into(), why }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits(x: &[f64]) -> Vec<u64> {
        x.iter().map(|x| x.to_bits()).collect()
    }

    fn ticks(rows: &[(i64, f64, f64, f64, u32)], origins: &Origins) -> Ticks {
        let mut ticks = Ticks::new("EURUSD".into());
        for (time, bid, ask, spread, origin) in rows {
            let name = format!("LP \"{origin}\"");
            let origin = origins.number(&name, "b", 60 * *origin as i32).unwrap();
            let (bid, ask, spread) = (*bid, *ask, *spread);
            ticks.push(&super::super::tick::Row { time_ns: *time, bid, ask, spread, origin });
        }
        ticks.origins = origins.all();
        ticks
    }

    fn return_trip(ticks: &Ticks, origins: &Origins) -> Vec<Kept> {
        let packed = pack(ticks).unwrap();
        let mut back = Ticks::new("EURUSD".into());
        for block in &packed {
            let stored = Stored::open(1, block.kept.name(), &block.data).unwrap();
            let all = stored.all();
            stored.times(all.clone(), &mut back.time_ns).unwrap();
            unpack(&[(stored, all)], Wanted::All, origins, &mut back).unwrap();
        }
        assert_eq!(back.time_ns, ticks.time_ns);
        assert_eq!(bits(&back.bid), bits(&ticks.bid));
        assert_eq!(bits(&back.ask), bits(&ticks.ask));
        assert_eq!(bits(&back.spread), bits(&ticks.spread));
        assert_eq!(back.origin, ticks.origin);
        packed.iter().map(|block| block.kept).collect()
    }

    /// Goal: the column that is left out is rebuilt bit for bit, and where that cannot be both are kept.
    #[test]
    fn what_is_left_out_is_rebuilt() {
        let origins = Origins::default();
        let feed: Vec<_> = (0..20_000i64)
            .map(|i| {
                let (bid, ask) = ((108_500 + i % 17) as f64 / 1e5, (108_510 + i % 5) as f64 / 1e5);
                (i / 4, bid, ask, ask - bid, (i % 3) as u32)
            })
            .collect();
        let kept = return_trip(&ticks(&feed, &origins), &origins);
        assert_eq!(
            kept.len(),
            3,
            "20,000 ticks in blocks of 16,384 at the most, and the last ones"
        );
        assert!(!kept.contains(&Kept::Both));
        let odd: Vec<_> = feed.iter().map(|t| (t.0, t.1, t.2, 7.0, t.4)).collect();
        assert!(return_trip(&ticks(&odd, &origins), &origins).iter().all(|k| *k == Kept::Both));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Goal: any ticks return bit for bit.
        #[test]
        fn ticks_return(
            mut rows in prop::collection::vec(
                (any::<i64>(), any::<f64>(), any::<f64>(), any::<f64>(), 0u32..3), 1..200),
            spread_is_difference in any::<bool>(),
        ) {
            rows.sort_by_key(|row| row.0);
            if spread_is_difference {
                rows.iter_mut().for_each(|row| row.3 = row.2 - row.1);
            }
            let origins = Origins::default();
            return_trip(&ticks(&rows, &origins), &origins);
        }
    }
}
