//! Durations and sizes as people write them on a command line or in a file.

use std::time::Duration;

/// "1.5", "1.5s", "250ms", "10m", "2h"; a bare number is seconds.
///
/// # Errors
/// What is accepted.
pub fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => {
            return Err(format!(
                "{text:?} is no duration (say 1.5, 250ms, 10m or 2h; a bare number is seconds)"
            ));
        }
    };
    let number: f64 = number.parse().map_err(|_| {
        format!("{text:?} is no duration (say 1.5, 250ms, 10m or 2h; a bare number is seconds)")
    })?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| format!("{text:?} is too long a time"))
}

/// "512MB", "10GiB", "1000000"; a bare number is bytes.
///
/// # Errors
/// What is accepted.
pub fn bytes(text: &str) -> Result<u64, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1_024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        _ => {
            return Err(format!(
                "{text:?} is no size (say 512MB, 10GiB or 1000000; a bare number is bytes)"
            ));
        }
    };
    let number: f64 = number.parse().map_err(|_| {
        format!("{text:?} is no size (say 512MB, 10GiB or 1000000; a bare number is bytes)")
    })?;
    let size = number * scale;
    if size < 9e18 {
        Ok(size as u64)
    } else {
        Err(format!("{text:?} is too large a size"))
    }
}

/// Bytes for people: "1.4 MB".
pub fn bytes_words(bytes: f64) -> String {
    match bytes {
        b if b < 1e3 => format!("{b:.0} B"),
        b if b < 1e6 => format!("{:.1} kB", b / 1e3),
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.2} GB", b / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_as_written() {
        #[track_caller]
        fn check(text: &str, ms: Option<u128>, size: Option<u64>) {
            assert_eq!(
                duration(text).ok().map(|d| d.as_millis()),
                ms,
                "{text} as a duration"
            );
            assert_eq!(bytes(text).ok(), size, "{text} as a size");
        }
        check("0", Some(0), Some(0));
        check("1.5", Some(1_500), Some(1));
        check("250ms", Some(250), None);
        check("2h", Some(7_200_000), None);
        check("10m", Some(600_000), Some(10_000_000));
        check("512MB", None, Some(512_000_000));
        check("1GiB", None, Some(1_073_741_824));
        check("", None, None);
        check("-1", None, None);
        check("1e99d", None, None);
        check("99999999999999999999d", None, None);
    }
}
