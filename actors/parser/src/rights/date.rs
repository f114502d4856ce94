//! The dates of `unavailable_after`: RFC 822, RFC 850 and ISO 8601, and what people write for them.
//!
//! Without a time it is the day's beginning, without a zone UTC. Invariant: no text makes it panic; what is no date is
//! none. Start at [`read`].

use contract::clock::Wall;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
/// RFC 822 section 5.1, in minutes from UTC.
const ZONES: [(&str, i64); 8] = [
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
];
/// Words of a date that are looked at.
const WORDS_MAX: usize = 12;

/// What has been read of a date.
#[derive(Debug, Default)]
struct Parts {
    /// Numbers of the day in the order of the text.
    numbers: Vec<(u32, usize)>,
    month: Option<u32>,
    /// Seconds within the day.
    time: u32,
    /// Minutes from UTC.
    zone: i64,
}

/// The moment that a text names.
pub(super) fn read(text: &str) -> Option<Wall> {
    let mut parts = Parts::default();
    let text = text.trim();
    // `2010-06-25T15:00` is a date and a time.
    let iso = text
        .as_bytes()
        .get(10)
        .is_some_and(|b| matches!(b, b'T' | b't'))
        && text.is_char_boundary(11);
    let (date, rest) = if iso {
        (&text[..10], &text[11..])
    } else {
        ("", text)
    };
    let words = date.split_whitespace().chain(rest.split([' ', '\t', ',']));
    for word in words.filter(|word| !word.is_empty()).take(WORDS_MAX) {
        parts.word(word)?;
    }
    let (year, month, day) = parts.day()?;
    let days = days_since_1970(year, month, day)?;
    let seconds = days * 86_400 + i64::from(parts.time) - parts.zone * 60;
    u64::try_from(seconds)
        .ok()?
        .checked_mul(1_000_000)
        .map(Wall)
}

/// The month, from 1, that a word begins with.
pub(super) fn month(word: &str) -> Option<u32> {
    let start = word.get(..3)?;
    let at = MONTHS
        .iter()
        .position(|month| month.eq_ignore_ascii_case(start))?;
    u32::try_from(at + 1).ok()
}

impl Parts {
    /// None where a word has no place in a date.
    fn word(&mut self, word: &str) -> Option<()> {
        if word.contains(':') {
            return self.clock(word);
        }
        if let Some(zone) = zone(word) {
            self.zone = zone;
            return Some(());
        }
        for piece in word.split(['-', '/']) {
            match piece.parse::<u32>() {
                Ok(number) => self.numbers.push((number, piece.len())),
                Err(_) if piece.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                    // The name of a weekday, `of`, `at`: nothing that counts.
                    self.month = self.month.or_else(|| month(piece));
                }
                Err(_) => return None,
            }
        }
        Some(())
    }

    /// `15:00`, `15:00:00.5`, `15:00:00Z`, `15:00:00-08:00`.
    fn clock(&mut self, word: &str) -> Option<()> {
        let end = word
            .find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '.'))
            .unwrap_or(word.len());
        let (time, behind) = word.split_at(end);
        let mut fields = time
            .split(':')
            .map(|field| field.split('.').next().unwrap_or_default().parse::<u32>());
        let hour = fields.next()?.ok().filter(|hour| *hour < 24)?;
        let minute = fields.next()?.ok().filter(|minute| *minute < 60)?;
        let second = match fields.next() {
            None => 0,
            Some(second) => second.ok().filter(|second| *second <= 60)?,
        };
        self.time = hour * 3_600 + minute * 60 + second;
        if !behind.is_empty() {
            self.zone = zone(behind)?;
        }
        Some(())
    }

    /// Year, month and day.
    fn day(&self) -> Option<(i64, u32, u32)> {
        let year_of = |(number, digits): (u32, usize)| match digits {
            4 => Some(i64::from(number)),
            2 if number < 70 => Some(2_000 + i64::from(number)),
            2 => Some(1_900 + i64::from(number)),
            _ => None,
        };
        match (self.numbers.as_slice(), self.month) {
            (&[year @ (_, 4), (month, _), (day, _)], None) => Some((year_of(year)?, month, day)),
            (&[year @ (_, 4), (day, _)] | &[(day, _), year], Some(month)) => {
                Some((year_of(year)?, month, day))
            }
            _ => None,
        }
    }
}

/// `Z`, `GMT`, `PST`, `+0100`, `-08:00`.
fn zone(word: &str) -> Option<i64> {
    let named = ["z", "gmt", "ut", "utc"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(word));
    if named {
        return Some(0);
    }
    if let Some((_, minutes)) = ZONES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
    {
        return Some(*minutes);
    }
    let sign = match word.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = word.chars().skip(1).filter(|c| *c != ':').collect();
    let number: i64 = (digits.len() == 4).then(|| digits.parse().ok())??;
    Some(sign * (number / 100 * 60 + number % 100))
}

/// Days from 1 January 1970 in the Gregorian calendar; none where there is no such day.
fn days_since_1970(year: i64, month: u32, day: u32) -> Option<i64> {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    if !(1_970..=9_999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let past = year - 1;
    let leap_days = past / 4 - past / 100 + past / 400 - (1_969 / 4 - 1_969 / 100 + 1_969 / 400);
    let before = BEFORE[month as usize - 1] + i64::from(leap && month > 2);
    Some((year - 1_970) * 365 + leap_days + before + i64::from(day) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, want: Option<u64>) {
        assert_eq!(read(text).map(|wall| wall.0 / 1_000_000), want, "{text:?}");
    }

    #[test]
    fn dates_of_three_standards_are_read() {
        let noon = Some(1_277_478_000); // date -u -d '2010-06-25 15:00' +%s
        check("25 Jun 2010 15:00:00 GMT", noon);
        check("Fri, 25 Jun 2010 15:00:00 +0000", noon);
        check("Friday, 25-Jun-10 15:00:00 UTC", noon);
        check("25 Jun 2010 07:00:00 PST", noon);
        check("25-Jun-2010 11:00:00 EDT", Some(1_277_478_000));
        check("2010-06-25T15:00:00Z", noon);
        check("2010-06-25T17:00:00.25+02:00", noon);
        check("2010-06-25 15:00", noon);
        check("June 25, 2010 15:00", noon);
        let midnight = Some(1_277_424_000);
        check("2010-06-25", midnight);
        check("25 June 2010", midnight);
        check("2000-02-29", Some(951_782_400));
        check("1970-01-01", Some(0));
        check("31 Dec 2099 23:59:59 GMT", Some(4_102_444_799));
        for none in [
            "",
            "never",
            "25",
            "2010-13-01",
            "2010-02-29",
            "25 Jun",
            "99 Jun 2010",
            "2010-06-25T25:00Z",
            "1899-01-01",
            "1 2 3 4",
            "é",
        ] {
            check(none, None);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([0-9:T+-]|Jun|\\PC){0,30}") {
            let _date = read(&text);
        }
    }
}
