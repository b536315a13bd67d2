//! Leaving out ticks that hardly differ from the last one.

use crate::error::{Error, Result};

/// Which ticks are left out. They touch nothing: no ring, no bar, no file; only a counter.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Throttle {
    /// None.
    #[default]
    Off,
    /// The RTX engine's rule: a tick is left out if its bid differs from the last *stored* bid of its
    /// symbol by less than 0.00001 of that bid. So a slow drift passes, and a tick of which only the
    /// ask changed does not.
    Bid,
    /// As `Bid`, and the ask must not have moved more either.
    BidAndAsk,
}

impl std::str::FromStr for Throttle {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "off" => Ok(Throttle::Off),
            "bid" => Ok(Throttle::Bid),
            "bid_and_ask" => Ok(Throttle::BidAndAsk),
            _ => Err(Error::invalid("throttle", "off, bid or bid_and_ask", format!("{text:?}"))),
        }
    }
}

/// The share of the price below which a change is none.
const LEAST_CHANGE: f64 = 0.00001;

/// The prices that were stored last, of one symbol.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LastPrices(Option<(f64, f64)>);

impl LastPrices {
    /// Whether a tick is to be left out.
    pub(super) fn leaves_out(&self, rule: Throttle, bid: f64, ask: f64) -> bool {
        let Some((last_bid, last_ask)) = self.0 else { return false };
        // 0/0 is NaN, which is below every threshold: repeated zeros are stored, as the RTX engine's rule does.
        let same = |now: f64, last: f64| ((now - last) / last).abs() < LEAST_CHANGE;
        match rule {
            Throttle::Off => false,
            Throttle::Bid => same(bid, last_bid),
            Throttle::BidAndAsk => same(bid, last_bid) && same(ask, last_ask),
        }
    }

    pub(super) fn store(&mut self, bid: f64, ask: f64) {
        self.0 = Some((bid, ask));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(rule: Throttle, prices: impl IntoIterator<Item = (f64, f64)>) -> usize {
        let mut last = LastPrices::default();
        let mut n = 0;
        for (bid, ask) in prices {
            if !last.leaves_out(rule, bid, ask) {
                last.store(bid, ask);
                n += 1;
            }
        }
        n
    }

    /// Goal: the RTX engine's rule to the letter, by the vectors that were measured on it.
    #[test]
    fn the_rtx_rule_holds() {
        let bids = |bids: &[f64]| bids.iter().map(|b| (*b, b + 1.0)).collect::<Vec<_>>();
        assert_eq!(stored(Throttle::Bid, bids(&[1.08500, 1.08501])), 1, "one point");
        assert_eq!(stored(Throttle::Bid, bids(&[1.08500, 1.08502])), 2, "two points");
        assert_eq!(stored(Throttle::Bid, [(1.085, 1.1), (1.085, 1.2)]), 1, "the ask alone");
        assert_eq!(stored(Throttle::BidAndAsk, [(1.085, 1.1), (1.085, 1.2)]), 2);
        let drift = (0..1000).scan(1.0f64, |bid, _| {
            let now = *bid;
            *bid += 2e-6;
            Some((now, now))
        });
        assert_eq!(stored(Throttle::Bid, drift), 167, "a slow drift");
        assert_eq!(stored(Throttle::Bid, bids(&[0.0, 0.0, 0.0])), 3, "zeros");
        assert_eq!(stored(Throttle::Off, bids(&[1.0, 1.0])), 2);
        // Strictly less: a change of exactly the share is stored.
        assert_eq!(stored(Throttle::Bid, bids(&[1e5, 1e5 + 1.0])), 2);
    }
}
