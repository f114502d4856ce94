//! HTTP heads, written again from parsed ones.
//!
//! A record's block starts with the head. What arrived in chunks is kept without them, so the two fields that
//! told of the framing are moved aside: `X-Archive-Orig-Transfer-Encoding`, and `X-Archive-Orig-Content-Length`
//! where the length differs from the body kept. Content-Encoding stays: the body is kept as received.
//! Invariant: a head has one line for each field given and one for its status; no field's bytes can add another.

/// Starts a request's head with its request line.
pub fn request_line(out: &mut Vec<u8>, method: &str, target: &str, version: &str) {
    push_text(out, method.as_bytes());
    out.push(b' ');
    push_text(out, target.as_bytes());
    out.push(b' ');
    push_text(out, version.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Starts an answer's head with its status line. `reason` as it came, perhaps empty.
pub fn status_line(out: &mut Vec<u8>, version: &str, status: u16, reason: &[u8]) {
    push_text(out, version.as_bytes());
    out.extend_from_slice(format!(" {status:03} ").as_bytes());
    push_text(out, reason);
    out.extend_from_slice(b"\r\n");
}

/// One field as it came.
pub fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    push_name(out, name);
    out.extend_from_slice(b": ");
    push_text(out, value);
    out.extend_from_slice(b"\r\n");
}

/// An answer's fields, adjusted to a body of `body_len` bytes without transfer coding, and the empty line.
pub fn answer_fields<'a>(
    out: &mut Vec<u8>,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    body_len: u64,
) {
    let mut length_written = false;
    for (name, value) in fields {
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            field(out, b"X-Archive-Orig-Transfer-Encoding", value);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let right = std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                == Some(body_len);
            if !right {
                field(out, b"X-Archive-Orig-Content-Length", value);
            }
            if !length_written {
                field(out, b"Content-Length", body_len.to_string().as_bytes());
                length_written = true;
            }
        } else {
            field(out, name, value);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The value of the first field with this name in a written head.
pub fn find<'h>(head: &'h [u8], name: &str) -> Option<&'h [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (found, value) = line.split_at(colon);
        found
            .trim_ascii_end()
            .eq_ignore_ascii_case(name.as_bytes())
            .then(|| value[1..].trim_ascii())
    })
}

/// The status code in a written head, as text; none where there is none.
pub fn status(head: &[u8]) -> Option<&str> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let code = line.trim_ascii_end().split(|byte| *byte == b' ').nth(1)?;
    std::str::from_utf8(code).ok()
}

/// Appends a value without the bytes that could end its line (RFC 9110, 5.5: CR, LF and NUL are dangerous) and
/// without other controls; a tab stays.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    let is_fine = |byte: &u8| (*byte >= b' ' || *byte == b'\t') && *byte != 0x7f;
    if text.iter().all(is_fine) {
        out.extend_from_slice(text);
    } else {
        out.extend(text.iter().copied().filter(is_fine));
    }
}

/// Appends a name, of which only token characters stay (RFC 9110, 5.6.2).
fn push_name(out: &mut Vec<u8>, name: &[u8]) {
    out.extend(
        name.iter()
            .copied()
            .filter(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(fields: &[(&str, &str)], body_len: u64) -> String {
        let mut out = Vec::new();
        status_line(&mut out, "HTTP/1.1", 200, b"OK");
        answer_fields(
            &mut out,
            fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())),
            body_len,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn framing_is_moved_aside_and_all_else_stays() {
        #[track_caller]
        fn check(fields: &[(&str, &str)], body_len: u64, want: &str) {
            assert_eq!(
                answer(fields, body_len),
                format!("HTTP/1.1 200 OK\r\n{want}\r\n")
            );
        }
        check(
            &[
                ("content-type", "text/html"),
                ("transfer-encoding", "chunked"),
                ("content-encoding", "gzip"),
            ],
            5,
            "content-type: text/html\r\nX-Archive-Orig-Transfer-Encoding: chunked\r\ncontent-encoding: gzip\r\n",
        );
        check(&[("content-length", "5")], 5, "Content-Length: 5\r\n");
        check(
            &[("Content-Length", "9")],
            5,
            "X-Archive-Orig-Content-Length: 9\r\nContent-Length: 5\r\n",
        );
        check(
            &[("content-length", "5"), ("content-length", "7")],
            5,
            "Content-Length: 5\r\nX-Archive-Orig-Content-Length: 7\r\n",
        );
        check(
            &[("set-cookie", "a"), ("set-cookie", "b")],
            0,
            "set-cookie: a\r\nset-cookie: b\r\n",
        );
    }

    #[test]
    fn no_field_can_add_a_line() {
        let head = answer(
            &[
                ("x\r\nevil", "1\r\nSet-Cookie: a\0b\n\n<html>"),
                ("y: z", "\x7f\t2"),
            ],
            0,
        );
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\nxevil: 1Set-Cookie: ab<html>\r\nyz: \t2\r\n\r\n"
        );
    }

    #[test]
    fn a_written_head_is_read_again() {
        let head = answer(
            &[
                ("Content-Type", "text/html; charset=x"),
                ("content-type", "b/c"),
            ],
            0,
        );
        assert_eq!(
            find(head.as_bytes(), "content-TYPE"),
            Some(&b"text/html; charset=x"[..])
        );
        assert_eq!(find(head.as_bytes(), "etag"), None);
        assert_eq!(status(head.as_bytes()), Some("200"));
        assert_eq!(status(b"nonsense"), None);
    }
}
