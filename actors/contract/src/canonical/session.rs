//! Session identifiers in URLs: a page's name with one is the page's name.
//!
//! A name that one server software fixes (`jsessionid`, `PHPSESSID`) is enough; where the name is a word that others may
//! use (`sid`), the value must be such as no person writes and a server draws, as Heritrix' StripSessionIDs has it.

/// Names that a server software gives to nothing else: PHP, the Servlet specification (section 7.1.3), ColdFusion's token,
/// osCommerce, Zen Cart, xt:Commerce.
const NAMES: &[&str] = &[
    "phpsessid",
    "jsessionid",
    "cftoken",
    "oscsid",
    "zenid",
    "xtcsid",
];

/// Words that say session, if their value could be one's.
const WORDS: &[&str] = &["sessionid", "session_id", "sessid", "sess_id"];

/// Words that are a session's at some sites (phpBB, vBulletin), and anything at others.
const SHORT_WORDS: &[&str] = &["sid", "s"];

/// Classic ASP: this, then eight letters.
const ASP: &str = "aspsessionid";

/// Whether a parameter of the query is a session's. `CFID` is one only beside its `CFTOKEN`.
pub(super) fn is_session(name: &str, value: &str, has_cftoken: bool) -> bool {
    let is_any = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    is_any(NAMES)
        || (has_cftoken && name.eq_ignore_ascii_case("cfid"))
        || (is_any(WORDS) && (is_drawn(value) || is_random(value)))
        || (is_any(SHORT_WORDS) && is_drawn(value))
        || name.split_at_checked(ASP.len()).is_some_and(|(asp, rest)| {
            asp.eq_ignore_ascii_case(ASP)
                && rest.len() == 8
                && rest.bytes().all(|byte| byte.is_ascii_alphabetic())
        })
}

/// A number of 128 bits or more in hexadecimal digits, letters and figures among them.
fn is_drawn(value: &str) -> bool {
    matches!(value.len(), 32 | 40 | 64)
        && value.bytes().all(|byte| byte.is_ascii_hexdigit())
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// As many letters and figures as 64 bits need at least, in such a mixture as no name has; or a UUID.
fn is_random(value: &str) -> bool {
    let bytes = value.as_bytes();
    if value.len() == 36 && value.bytes().filter(|byte| *byte == b'-').count() == 4 {
        return value
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    }
    let changes = bytes
        .windows(2)
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit());
    (16..=128).contains(&bytes.len())
        && bytes.iter().all(u8::is_ascii_alphanumeric)
        && changes.count() >= 4
}

/// Appends the path without its session: `;jsessionid=…` in the last segment (Servlet specification, section 7.1.3), and
/// segments `(S(…))` of 24 characters (ASP.NET without cookies).
pub(super) fn push_path(out: &mut String, path: &str) {
    let mut segments = path.split('/').peekable();
    let mut is_first = true;
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if !is_last && is_asp_net(segment) {
            continue;
        }
        if !is_first {
            out.push('/');
        }
        is_first = false;
        if is_last {
            push_last(out, segment);
        } else {
            out.push_str(segment);
        }
    }
}

/// The last segment without its parameters `jsessionid`.
fn push_last(out: &mut String, segment: &str) {
    let mut parts = segment.split(';');
    let name = parts.next().unwrap_or_default();
    out.push_str(name);
    for part in parts {
        let is_session = part
            .split_once('=')
            .is_some_and(|(name, _)| name.eq_ignore_ascii_case("jsessionid"));
        // Without its parameters a segment of dots would be gone.
        if !is_session || matches!(name, "." | "..") {
            out.push(';');
            out.push_str(part);
        }
    }
}

fn is_asp_net(segment: &str) -> bool {
    let inner = segment
        .get(..3)
        .filter(|head| head.eq_ignore_ascii_case("(S("))
        .and_then(|_| segment[3..].strip_suffix("))"));
    inner.is_some_and(|id| id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}
