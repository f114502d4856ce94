//! Civil time as the archive's formats spell it, all in UTC.

use contract::clock::Wall;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

fn civil(at: Wall) -> DateTime {
    let micros = i64::try_from(at.0).unwrap_or(i64::MAX);
    // Beyond the year 9999 there is no four-digit year to write: such a clock reads as the last moment there is.
    let stamp = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
    Offset::UTC.to_datetime(stamp)
}

fn digits(out: &mut String, number: i64, width: usize) {
    let mut shown = [b'0'; 8];
    let mut left = number.unsigned_abs();
    for place in shown[..width].iter_mut().rev() {
        *place = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
    }
    out.extend(shown[..width].iter().map(|digit| char::from(*digit)));
}

/// `2026-11-24T13:59:00.123456Z`: WARC-Date, whose fractions WARC 1.1 allows (ISO 28500:2017, 5.4).
pub fn iso(at: Wall) -> String {
    let time = civil(at);
    let mut out = String::with_capacity(27);
    for (before, number, width) in [
        ("", i64::from(time.year()), 4),
        ("-", i64::from(time.month()), 2),
        ("-", i64::from(time.day()), 2),
        ("T", i64::from(time.hour()), 2),
        (":", i64::from(time.minute()), 2),
        (":", i64::from(time.second()), 2),
        (".", i64::from(time.subsec_nanosecond()) / 1_000, 6),
    ] {
        out.push_str(before);
        digits(&mut out, number, width);
    }
    out.push('Z');
    out
}

/// The moment that a stamp of ours tells (RFC 3339); none where it is none.
pub fn parse(text: &str) -> Option<Wall> {
    let stamp: Timestamp = text.parse().ok()?;
    Some(Wall(u64::try_from(stamp.as_microsecond()).ok()?))
}

/// `20261124135900`: the timestamp of a CDXJ line.
pub(crate) fn digits14(at: Wall) -> String {
    let mut out = digits17(at);
    out.truncate(14);
    out
}

/// `20261124135900123`: with milliseconds, as IIPC file names have it.
pub(crate) fn digits17(at: Wall) -> String {
    let time = civil(at);
    let mut out = String::with_capacity(17);
    digits(&mut out, i64::from(time.year()), 4);
    for part in [
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
    ] {
        digits(&mut out, i64::from(part), 2);
    }
    digits(&mut out, i64::from(time.subsec_nanosecond()) / 1_000_000, 3);
    out
}

/// The fourteen digits of a WARC-Date, whatever its precision; none where it is no date.
pub(crate) fn digits14_of_iso(date: &str) -> Option<String> {
    let mut digits: String = date
        .split(['.', 'Z'])
        .next()?
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    if digits.len() < 8 {
        return None;
    }
    while digits.len() < 14 {
        digits.push('0');
    }
    digits.truncate(14);
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back() {
        for at in [Wall(0), Wall(1_764_000_001_123_456)] {
            assert_eq!(parse(&iso(at)), Some(at));
        }
        assert_eq!(parse("2025-11-24T16:00:01"), None, "where on earth?");
        assert_eq!(parse(""), None);
    }

    #[test]
    fn one_moment_in_each_spelling() {
        #[track_caller]
        fn check(micros: u64, want_iso: &str, want17: &str) {
            let at = Wall(micros);
            assert_eq!(iso(at), want_iso);
            assert_eq!(digits17(at), want17);
            assert_eq!(digits14(at), want17[..14]);
            assert_eq!(digits14_of_iso(want_iso).as_deref(), Some(&want17[..14]));
        }
        check(0, "1970-01-01T00:00:00.000000Z", "19700101000000000");
        check(
            951_782_400_000_000,
            "2000-02-29T00:00:00.000000Z",
            "20000229000000000",
        );
        check(
            1_764_000_001_000_042,
            "2025-11-24T16:00:01.000042Z",
            "20251124160001000",
        );
        check(u64::MAX, "9999-12-30T22:00:00.999999Z", "99991230220000999");
    }

    #[test]
    fn coarse_dates_are_read_and_others_refused() {
        assert_eq!(
            digits14_of_iso("2016-09-19T17:20:24Z").as_deref(),
            Some("20160919172024")
        );
        assert_eq!(
            digits14_of_iso("2016-09-19").as_deref(),
            Some("20160919000000")
        );
        assert_eq!(digits14_of_iso("soon"), None);
    }
}
