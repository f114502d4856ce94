//! The byte patterns of the MIME Sniffing standard: HTML (7.1), images (6.1), audio and video (6.2), archives (6.4).
//!
//! Knows bytes only. MP3 without an ID3 tag (6.2.3) is not looked for: nothing is read of it either way.
//! Invariant: linear in the head.

/// Start tags and more that make an unlabelled document HTML, after whitespace.
const HTML: &[&[u8]] = &[
    b"<!DOCTYPE HTML",
    b"<HTML",
    b"<HEAD",
    b"<SCRIPT",
    b"<IFRAME",
    b"<H1",
    b"<DIV",
    b"<FONT",
    b"<TABLE",
    b"<A",
    b"<STYLE",
    b"<TITLE",
    b"<B",
    b"<BODY",
    b"<BR",
    b"<P",
];

/// True if `head` starts as HTML does: a comment, or a known tag that is ended by a space or `>`.
pub(super) fn is_html(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    head.starts_with(b"<!--")
        || HTML.iter().any(|start| {
            head.get(..start.len())
                .is_some_and(|same| same.eq_ignore_ascii_case(start))
                && matches!(head.get(start.len()), Some(b' ' | b'>'))
        })
}

/// The first bytes, those at [`SECOND`], and the type.
type Pattern = (&'static [u8], Option<&'static [u8]>, &'static str);

/// Where a pattern's second part stands, behind a length that may be any.
const SECOND: usize = 8;

const MEDIA: &[Pattern] = &[
    (b"\0\0\x01\0", None, "image/x-icon"),
    (b"\0\0\x02\0", None, "image/x-icon"),
    (b"BM", None, "image/bmp"),
    (b"GIF87a", None, "image/gif"),
    (b"GIF89a", None, "image/gif"),
    (b"RIFF", Some(b"WEBPVP"), "image/webp"),
    (b"\x89PNG\r\n\x1A\n", None, "image/png"),
    (b"\xFF\xD8\xFF", None, "image/jpeg"),
    (b"FORM", Some(b"AIFF"), "audio/aiff"),
    (b"ID3", None, "audio/mpeg"),
    (b"OggS\0", None, "application/ogg"),
    (b"MThd\0\0\0\x06", None, "audio/midi"),
    (b"RIFF", Some(b"AVI "), "video/avi"),
    (b"RIFF", Some(b"WAVE"), "audio/wave"),
    (b"\x1F\x8B\x08", None, "application/x-gzip"),
    (b"PK\x03\x04", None, "application/zip"),
    (b"Rar \x1A\x07\0", None, "application/x-rar-compressed"),
];

/// The type of an image, sound, film or archive.
pub(super) fn media(head: &[u8]) -> Option<&'static str> {
    let (_, _, mime) = MEDIA.iter().find(|(first, second, _)| {
        head.starts_with(first)
            && second.is_none_or(|second| {
                head.get(SECOND..)
                    .is_some_and(|rest| rest.starts_with(second))
            })
    })?;
    Some(mime)
}

/// The type of a film whose pattern is no fixed bytes: MP4 (6.2.1) or WebM (6.2.2).
pub(super) fn film(head: &[u8]) -> Option<&'static str> {
    if is_mp4(head) == Some(true) {
        Some("video/mp4")
    } else if is_webm(head) {
        Some("video/webm")
    } else {
        None
    }
}

fn is_mp4(head: &[u8]) -> Option<bool> {
    let size = u32::from_be_bytes(*head.first_chunk()?) as usize;
    if size > head.len() || !size.is_multiple_of(4) || head.get(4..8)? != b"ftyp" {
        return Some(false);
    }
    // The major brand, then behind the minor version the compatible ones.
    let brands = head.get(8..size)?.chunks_exact(4);
    let mut brands = brands
        .enumerate()
        .filter(|(n, _)| *n != 1)
        .map(|(_, brand)| brand);
    Some(brands.any(|brand| brand.starts_with(b"mp4")))
}

fn is_webm(head: &[u8]) -> bool {
    // The document type is an element in the first bytes; its length is a number whose leading zeros tell its own length.
    const WITHIN: usize = 38;
    head.starts_with(b"\x1A\x45\xDF\xA3")
        && head[4..head.len().min(WITHIN)]
            .windows(2)
            .position(|id| id == b"\x42\x82")
            .and_then(|at| {
                let length_at = 4 + at + 2;
                let length = head.get(length_at)?.leading_zeros() as usize + 1;
                head.get(length_at + length..)
            })
            .is_some_and(|name| {
                let zeros = name.iter().take_while(|b| **b == 0).count();
                name[zeros..].starts_with(b"webm")
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_of_the_standard_is_known() {
        #[track_caller]
        fn check(head: &[u8], want: Option<&str>) {
            assert_eq!(media(head).or(film(head)), want, "{head:x?}");
        }
        for (first, second, mime) in MEDIA {
            let mut head = first.to_vec();
            if let Some(second) = second {
                head.resize(SECOND, 7);
                head.extend_from_slice(second);
            }
            check(&head, Some(mime));
            head.pop();
            check(&head, None);
        }
        check(b"\0\0\0\x14ftypmp42\0\0\0\0isom", Some("video/mp4"));
        check(b"\0\0\0\x14ftypisom\0\0\0\0mp41", Some("video/mp4"));
        check(b"\0\0\0\x14ftypisommp41isom", None); // the minor version is no brand
        check(b"\0\0\0\x18ftypmp42\0\0\0\0isom", None); // longer than what is there
        check(b"\0\0\0\x13ftypmp42\0\0\0\0iso", None);
        check(
            b"\x1A\x45\xDF\xA3\x9F\x42\x86\x81\x01\x42\x82\x84webm",
            Some("video/webm"),
        );
        check(b"\x1A\x45\xDF\xA3\x9F\x42\x82\x88matroska", None);
        check(b"\x1A\x45\xDF\xA3", None);
        check(b"", None);
    }

    #[test]
    fn html_is_known_by_its_first_tag() {
        #[track_caller]
        fn check(head: &[u8], want: bool) {
            assert_eq!(is_html(head), want, "{}", String::from_utf8_lossy(head));
        }
        for start in HTML {
            check(&[b"\t\n\x0C\r ", *start, b">"].concat(), true);
            check(
                &[start.to_ascii_lowercase().as_slice(), b" "].concat(),
                true,
            );
            check(start, false);
            check(&[*start, b"\n"].concat(), false);
        }
        check(b"<!--", true);
        check(b"x<html>", false);
    }
}
