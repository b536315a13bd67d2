//! Text into ticks.

use std::borrow::Cow;

use super::number::parse_time;

/// How deep a field that is not ours may nest.
const MAX_DEPTH: usize = 64;

/// A tick of a JSON file.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonTick<'a> {
    /// The broker; empty if the object has none.
    pub broker_id: Cow<'a, str>,
    /// The symbol, not yet checked.
    pub symbol: Cow<'a, str>,
    /// The bid, finite.
    pub bid: f64,
    /// The ask, finite.
    pub ask: f64,
    /// The spread, finite; `ask - bid` if the object has none.
    pub spread: f64,
    /// ns since 1970-01-01 UTC.
    pub time_ns: i64,
    /// Offset from UTC in seconds that the time is written with.
    pub utc_offset_s: i32,
    /// The source; empty if the object has none.
    pub lp: Cow<'a, str>,
}

/// What is wrong with a JSON file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// The byte at which it was seen, counted from 0.
    pub offset: usize,
    /// What was seen.
    pub why: String,
}

impl std::fmt::Display for JsonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "byte {}: {}", self.offset, self.why)
    }
}

/// Calls `each` for the ticks of a file, in their order.
///
/// # Errors
/// [`JsonError`] for the first byte that does not fit, or what `each` says of a tick, at its begin.
pub fn parse<'a>(
    text: &'a [u8],
    each: impl FnMut(JsonTick<'a>) -> Result<(), String>,
) -> Result<usize, JsonError> {
    parse_rows(text, each, Err)
}

/// As [`parse`], where `bad` is told of a tick that does not fit, and says whether the rest is read.
///
/// # Errors
/// What `bad` returns, and [`JsonError`] for what is no list of ticks.
pub fn parse_rows<'a>(
    text: &'a [u8],
    mut each: impl FnMut(JsonTick<'a>) -> Result<(), String>,
    mut bad: impl FnMut(JsonError) -> Result<(), JsonError>,
) -> Result<usize, JsonError> {
    let mut reader = Reader { text, at: 0 };
    let mut n = 0;
    reader.expect(b'[', "a list of ticks")?;
    if !reader.next_is(b']') {
        loop {
            reader.space();
            let begin = reader.at;
            let tick = reader.tick();
            match tick.and_then(|tick| each(tick).map_err(|why| JsonError { offset: begin, why })) {
                Ok(()) => n += 1,
                Err(error) => {
                    bad(error)?;
                    reader.at = begin;
                    if !reader.pass_over() {
                        return Ok(n);
                    }
                }
            }
            if !reader.next_is(b',') {
                reader.expect(b']', "a comma or the end of the list")?;
                break;
            }
        }
    }
    reader.space();
    if reader.at < text.len() {
        return Err(reader.error("something stands after the end of the list"));
    }
    Ok(n)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

/// The fields of an object, as far as they have come.
#[derive(Default)]
struct Fields<'a> {
    broker_id: Option<Cow<'a, str>>,
    symbol: Option<Cow<'a, str>>,
    bid: Option<f64>,
    ask: Option<f64>,
    spread: Option<f64>,
    time: Option<(i64, i32)>,
    lp: Option<Cow<'a, str>>,
}

impl<'a> Reader<'a> {
    fn error(&self, why: impl Into<String>) -> JsonError {
        JsonError { offset: self.at, why: why.into() }
    }

    fn space(&mut self) {
        while self.text.get(self.at).is_some_and(|b| b" \t\r\n".contains(b)) {
            self.at += 1;
        }
    }

    /// Skips spaces, and the byte if it is the next one.
    fn next_is(&mut self, byte: u8) -> bool {
        self.space();
        let is = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(is);
        is
    }

    /// Passes over what stands for a tick, to the comma or the end of the list behind it; whether there is one.
    fn pass_over(&mut self) -> bool {
        let (mut depth, mut is_text) = (0_usize, false);
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'\\' if is_text => self.at += 1,
                b'"' => is_text = !is_text,
                // No string holds one: it has lost its end, and the tick ends with the line.
                b'\n' if is_text => (is_text, depth) = (false, 0),
                _ if is_text => {}
                b',' | b']' if depth == 0 => return true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
        false
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), JsonError> {
        if self.next_is(byte) {
            return Ok(());
        }
        match self.text.get(self.at) {
            None => Err(self.error(format!("the file ends where {what} should be"))),
            Some(_) => Err(self.error(format!("{what} should be here"))),
        }
    }

    fn tick(&mut self) -> Result<JsonTick<'a>, JsonError> {
        self.expect(b'{', "a tick")?;
        let begin = self.at - 1;
        let mut fields = Fields::default();
        if !self.next_is(b'}') {
            loop {
                self.field(&mut fields)?;
                if !self.next_is(b',') {
                    self.expect(b'}', "a comma or the end of the tick")?;
                    break;
                }
            }
        }
        let missing =
            |name: &str| JsonError { offset: begin, why: format!("the tick has no {name}") };
        let (time_ns, utc_offset_s) = fields.time.ok_or_else(|| missing("timestamp"))?;
        let bid = fields.bid.ok_or_else(|| missing("bid"))?;
        let ask = fields.ask.ok_or_else(|| missing("ask"))?;
        Ok(JsonTick {
            broker_id: fields.broker_id.unwrap_or_default(),
            symbol: fields.symbol.ok_or_else(|| missing("symbol"))?,
            bid,
            ask,
            spread: fields.spread.unwrap_or(ask - bid),
            time_ns,
            utc_offset_s,
            lp: fields.lp.unwrap_or_default(),
        })
    }

    fn field(&mut self, fields: &mut Fields<'a>) -> Result<(), JsonError> {
        self.space();
        let name = self.string()?;
        self.expect(b':', "a colon")?;
        self.space();
        match &*name {
            "broker_id" => fields.broker_id = Some(self.string()?),
            "symbol" => fields.symbol = Some(self.string()?),
            "lp" => fields.lp = Some(self.string()?),
            "bid" => fields.bid = Some(self.number()?),
            "ask" => fields.ask = Some(self.number()?),
            "spread" => fields.spread = Some(self.number()?),
            "timestamp" => {
                let begin = self.at;
                let text = self.string()?;
                let time = parse_time(text.as_bytes());
                let why = || JsonError { offset: begin, why: format!("{text:?} is no time") };
                fields.time = Some(time.ok_or_else(why)?);
            }
            _ => self.skip(0)?,
        }
        Ok(())
    }

    fn number(&mut self) -> Result<f64, JsonError> {
        let rest = &self.text[self.at..];
        let is = |b: &&u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let text = &rest[..rest.iter().take_while(is).count()];
        let first = text.strip_prefix(b"-").unwrap_or(text).first();
        let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
        match parsed.filter(|x| x.is_finite() && first.is_some_and(u8::is_ascii_digit)) {
            Some(number) => {
                self.at += text.len();
                Ok(number)
            }
            None => Err(self.error("a finite number should be here")),
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        if self.text.get(self.at) != Some(&b'"') {
            return Err(self.error("a string should be here"));
        }
        let begin = self.at + 1;
        let rest = &self.text[begin..];
        let Some(n) = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f)) else {
            return Err(self.error("the string does not end"));
        };
        if rest[n] == b'"' {
            let text = std::str::from_utf8(&rest[..n]);
            let text = text.map_err(|_| self.error("the string is not UTF-8"))?;
            self.at = begin + n + 1;
            return Ok(Cow::Borrowed(text));
        }
        // With escapes, which our own files have in odd names only: by the general reader.
        let mut end = n;
        while end < rest.len() && rest[end] != b'"' {
            end += if rest[end] == b'\\' { 2 } else { 1 };
        }
        let whole = self.text.get(self.at..=begin + end);
        let whole = whole.ok_or_else(|| self.error("the string does not end"))?;
        let text: String = serde_json::from_slice(whole)
            .map_err(|why| self.error(format!("invalid string: {why}")))?;
        self.at = begin + end + 1;
        Ok(Cow::Owned(text))
    }

    /// Passes over the value of a field that is not ours.
    fn skip(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.error("it nests too deeply"));
        }
        self.space();
        match self.text.get(self.at) {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(open @ (b'[' | b'{')) => {
                let close = if *open == b'[' { b']' } else { b'}' };
                self.at += 1;
                if self.next_is(close) {
                    return Ok(());
                }
                loop {
                    if close == b'}' {
                        self.space();
                        self.string()?;
                        self.expect(b':', "a colon")?;
                    }
                    self.skip(depth + 1)?;
                    if !self.next_is(b',') {
                        return self.expect(close, "a comma or the end");
                    }
                }
            }
            _ => {
                for word in ["true", "false", "null"] {
                    if self.text[self.at..].starts_with(word.as_bytes()) {
                        self.at += word.len();
                        return Ok(());
                    }
                }
                Err(self.error("a value should be here"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = r#"[{"broker_id":"b","symbol":"EURUSD","bid":1.085,"ask":1.0852,"spread":0.0002,"timestamp":"2026-01-19T20:14:06.1678158+05:30","lp":"YOFX"}]"#;

    fn all(text: &[u8]) -> Result<Vec<JsonTick<'_>>, JsonError> {
        let mut ticks = Vec::new();
        parse(text, |tick| {
            ticks.push(tick);
            Ok(())
        })?;
        Ok(ticks)
    }

    /// Goal: a tick returns, whatever stands around it; other fields are passed over.
    #[test]
    fn a_tick_returns() {
        let tick = all(ONE.as_bytes()).unwrap().remove(0);
        assert_eq!((tick.bid, tick.ask, tick.spread), (1.085, 1.0852, 0.0002));
        assert_eq!((&*tick.symbol, &*tick.lp, &*tick.broker_id), ("EURUSD", "YOFX", "b"));
        assert_eq!((tick.time_ns, tick.utc_offset_s), (1_768_833_846_167_815_800, 19_800));
        let other = r#" [ { "lp" : "a\u00df\"" , "x":[1,{"y":null}], "symbol":"S","ask":2,
            "bid":1,"timestamp":"1970-01-01T00:00:00Z" } ]
        "#;
        let tick = all(other.as_bytes()).unwrap().remove(0);
        assert_eq!((&*tick.lp, tick.spread, tick.time_ns), ("aß\"", 1.0, 0));
        assert!(all(b"[]").unwrap().is_empty());
    }

    /// Goal: ticks that do not fit are named by their byte, and the others are read.
    #[test]
    fn bad_ticks_are_named_and_the_others_read() {
        let good = &ONE[1..ONE.len() - 1];
        let bid = |text: &str| good.replace("1.085,", &format!("{text},"));
        let whole = |bad: &str| format!("[{good},{bad},{good}]");
        for (text, ticks) in [
            (whole("{}"), 2),
            (whole(&bid("NaN")), 2),
            (whole(&bid("")), 2),
            (whole(&bid("\"1.0]}\"")), 2),
            (whole(&bid("[1,{\"a\":2}]")), 2),
            (whole("null"), 2),
            (whole("[1,2]"), 2),
            (whole(&good.replace("2026-01", "2026-13")), 2),
            (format!("[{good},\n{}\n,{good}]", bid("\"open")), 2),
            (format!("[{good},{}", &good[..60]), 1),
        ] {
            let (mut read, mut bad) = (0, Vec::new());
            let each = |_: JsonTick<'_>| {
                read += 1;
                Ok(())
            };
            let n = parse_rows(text.as_bytes(), each, |error| {
                bad.push(error);
                Ok(())
            });
            assert_eq!((n.unwrap(), read, bad.len()), (ticks, ticks, 1), "{text}");
            assert!(bad[0].offset > good.len(), "{bad:?}");
        }
    }

    /// Goal: an error names the byte.
    #[test]
    fn an_error_names_the_byte() {
        for (text, offset) in [
            ("", 0),
            ("{}", 0),
            ("version https://git-lfs", 0),
            ("[{}]", 1),
            (&ONE.replace("1.085,", "NaN,"), 42),
            (&ONE.replace("1.085,", "1e999,"), 42),
            (&ONE[..60], 60),
            (&format!("{ONE} x"), ONE.len() + 1),
        ] {
            let error = all(text.as_bytes()).unwrap_err();
            assert_eq!(error.offset, offset, "{text:?}: {error}");
        }
    }

    proptest! {
        /// Goal: no text makes it panic.
        #[test]
        fn garbage_never_panics(
            at in 0..ONE.len(), with in prop::collection::vec(any::<u8>(), 0..4), cut in any::<bool>(),
        ) {
            let mut text = ONE.as_bytes()[..at].to_vec();
            text.extend_from_slice(&with);
            if !cut {
                text.extend_from_slice(&ONE.as_bytes()[at..]);
            }
            let _ = all(&text);
        }
    }
}
