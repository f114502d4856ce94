//! Dates as sitemaps and feeds write them, to seconds.
//!
//! W3C's profile of ISO 8601 (sitemaps.org, Atom's RFC 3339), RFC 822 with its successors (RSS), and what is often written
//! in their place: no seconds, no zone (then UTC), two figures for a year, a month's name first. Start at [`seconds`].

/// Seconds since 1970-01-01T00:00:00Z; none where the text is no date.
pub fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.len() > 64 || !text.is_ascii() {
        return None;
    }
    of_iso(text).or_else(|| of_words(text))
}

/// The moment as RFC 3339 has it, in UTC.
pub fn rfc3339(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a date of the Gregorian calendar, by eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, each of the last with a time and perhaps a zone.
fn of_iso(text: &str) -> Option<i64> {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(text[at + 1..].trim())),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let year = figures(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |month| figures(month, 2))?;
    let day = parts.next().map_or(Some(1), |day| figures(day, 2))?;
    if parts.next().is_some() {
        return None;
    }
    let start = days(year, month, day)? * 86_400;
    let Some(time) = time else { return Some(start) };
    let end = time.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.' | ',')));
    let (clock, zone) = time.split_at(end.unwrap_or(time.len()));
    Some(start + time_of(clock)? - zone_of(zone.trim())?)
}

/// `[Sun,] 06 Nov 1994 08:49:37 GMT`, `Nov 6, 1994`, `Sun Nov  6 08:49:37 1994`, `Sunday, 06-Nov-94 08:49:37 GMT`.
fn of_words(text: &str) -> Option<i64> {
    let (mut year, mut month, mut day) = (None, None, None);
    let (mut time, mut zone) = (0, None);
    for word in text.split([' ', ',', '\t']).filter(|word| !word.is_empty()) {
        if word.contains(':') && word.as_bytes()[0].is_ascii_digit() {
            // A zone may follow without a space.
            let end = word.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.')));
            let (clock, rest) = word.split_at(end.unwrap_or(word.len()));
            time = time_of(clock)?;
            if !rest.is_empty() {
                zone = Some(zone_of(rest)?);
            }
        } else if word.starts_with(['+', '-']) {
            zone = Some(zone_of(word)?);
        } else {
            for part in word.split('-') {
                if let Some(named) = month_of(part).filter(|_| month.is_none()) {
                    month = Some(named);
                } else if part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty() {
                    let number: i64 = part.parse().ok()?;
                    match (day, year) {
                        (None, _) if part.len() <= 2 => day = Some(number),
                        (_, None) => year = Some(century(number, part.len())?),
                        _ => return None,
                    }
                } else if let (Some(offset), true) = (zone_of(part), year.is_some()) {
                    zone.get_or_insert(offset);
                } else if !is_weekday(part) {
                    return None;
                }
            }
        }
    }
    Some(days(year?, month?, day?)? * 86_400 + time - zone.unwrap_or(0))
}

/// RFC 2822 section 4.3: two figures are of this century up to 49.
fn century(number: i64, figures: usize) -> Option<i64> {
    match figures {
        4 => Some(number),
        2 if number < 50 => Some(2_000 + number),
        2 | 3 => Some(1_900 + number),
        _ => None,
    }
}

fn month_of(word: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = word.trim_end_matches('.').to_ascii_lowercase();
    let at = MONTHS
        .iter()
        .position(|month| word.len() >= 3 && month.starts_with(&word))?;
    i64::try_from(at + 1).ok()
}

fn is_weekday(word: &str) -> bool {
    let word = word.trim_end_matches('.').to_ascii_lowercase();
    let days = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    word.len() >= 3 && days.iter().any(|day| day.starts_with(&word))
}

/// `hh:mm`, with seconds and a fraction or without; in seconds.
fn time_of(clock: &str) -> Option<i64> {
    let mut parts = clock.split(':');
    let hour = small(parts.next()?, 24)?;
    let minute = parts.next().map_or(Some(0), |minute| small(minute, 59))?;
    let second = parts.next().map_or(Some(0), |second| {
        // A leap second is the next one.
        small(second.split(['.', ',']).next().unwrap_or_default(), 60)
    })?;
    (parts.next().is_none()).then_some(hour * 3_600 + minute * 60 + second)
}

/// Seconds east of Greenwich; nothing at all is UTC.
fn zone_of(zone: &str) -> Option<i64> {
    let upper = zone.to_ascii_uppercase();
    let hours = match upper.as_str() {
        "" | "Z" | "UT" | "UTC" | "GMT" => 0,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        "CET" | "BST" | "MEZ" => 1,
        "CEST" | "EET" | "MESZ" => 2,
        "MSK" | "EEST" => 3,
        "JST" => 9,
        _ => {
            let offset = upper
                .strip_prefix("GMT")
                .or(upper.strip_prefix("UTC"))
                .unwrap_or(&upper);
            let (sign, offset) = match offset.split_at_checked(1)? {
                ("+", rest) => (1, rest),
                ("-", rest) => (-1, rest),
                _ => return None,
            };
            let figures: String = offset.chars().filter(|c| *c != ':').collect();
            let (hours, minutes) = match figures.len() {
                2 => (small(&figures, 23)?, 0),
                4 => (small(&figures[..2], 23)?, small(&figures[2..], 59)?),
                _ => return None,
            };
            return Some(sign * (hours * 3_600 + minutes * 60));
        }
    };
    Some(hours * 3_600)
}

fn figures(text: &str, count: usize) -> Option<i64> {
    (text.len() == count).then(|| small(text, 9_999)).flatten()
}

fn small(text: &str, max: i64) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= max)
}

/// Days since 1970-01-01 of a date that exists.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) || !(1..=9_999).contains(&year) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_use() {
        #[track_caller]
        fn check(text: &str, want: &str) {
            assert_eq!(seconds(text).map(rfc3339).as_deref(), Some(want), "{text}");
        }
        // W3C, Date and Time Formats.
        check("1997", "1997-01-01T00:00:00Z");
        check("1997-07", "1997-07-01T00:00:00Z");
        check("1997-07-16", "1997-07-16T00:00:00Z");
        check("1997-07-16T19:20+01:00", "1997-07-16T18:20:00Z");
        check("1997-07-16T19:20:30+01:00", "1997-07-16T18:20:30Z");
        check("1997-07-16T19:20:30.45+01:00", "1997-07-16T18:20:30Z");
        check("2004-12-23T18:00:15+00:00", "2004-12-23T18:00:15Z");
        // RFC 3339, section 5.8.
        check("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50Z");
        check("1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57Z");
        check("1990-12-31T23:59:60Z", "1991-01-01T00:00:00Z");
        // In use.
        check("2026-02-28 10:00:00", "2026-02-28T10:00:00Z");
        check("2026-02-28 10:00:00 +0200", "2026-02-28T08:00:00Z");
        check("2024-02-29T10:00:00+0530", "2024-02-29T04:30:00Z");
        // RFC 822, RFC 2822, RFC 850, asctime.
        check("Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z");
        check("06 Nov 94 08:49 EST", "1994-11-06T13:49:00Z");
        check("Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z");
        check("Sun Nov  6 08:49:37 1994", "1994-11-06T08:49:37Z");
        check("Sat, 07 Sep 2002 0:00:01 -0700", "2002-09-07T07:00:01Z");
        check("Thu, 1 January 2026", "2026-01-01T00:00:00Z");
        check("March 3, 2021", "2021-03-03T00:00:00Z");
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "now",
            "0",
            "97-07-16",
            "2026-13-01",
            "2026-02-29",
            "2026-00-10",
            "2026-01-01T25:00Z",
            "2026-01-01T10:61Z",
            "01/02/2026",
            "2026-01-01-01",
            "Sun, 06 Nov",
            "06 Foo 1994",
            "１９９７",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
