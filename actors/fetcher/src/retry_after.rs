//! `Retry-After`: for how long a server asks to be left alone (RFC 9110 section 10.2.3).

use std::time::{Duration, UNIX_EPOCH};

/// Reads a field value: seconds, or an HTTP date seen from `now_ms` (milliseconds since 1970). A date that has
/// passed is a pause of zero; more seconds than can be counted are the longest pause; what is neither is no answer.
pub fn retry_after(value: &[u8], now_ms: u64) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // Only too many digits can fail here.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let now = UNIX_EPOCH + Duration::from_millis(now_ms);
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        // 1994-11-06T08:49:37Z, the date of the standard's own examples.
        const DATE_MS: u64 = 784_111_777_000;
        #[track_caller]
        fn check(value: &str, want: Option<u64>) {
            assert_eq!(
                retry_after(value.as_bytes(), DATE_MS - 60_000),
                want.map(Duration::from_secs),
                "{value}"
            );
        }
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("99999999999999999999999999", Some(u64::MAX));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(60));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(60));
        check("Sun Nov  6 08:49:37 1994", Some(60));
        check("Sun, 06 Nov 1994 08:40:00 GMT", Some(0));
        check("-1", None);
        check("+5", None);
        check("1.5", None);
        check("soon", None);
        check("", None);
        assert_eq!(retry_after(b"\xff", 0), None);
    }
}
