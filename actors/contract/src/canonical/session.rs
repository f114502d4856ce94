//! Session identifiers in URLs: a page's name with one is the page's name.
//!
//! A name that one server software fixes (`jsessionid`, `PHPSESSID`) is enough; where the name is a word that others may
//! use (`sid`), the value must be such as no person writes and a server draws: the rule of Heritrix' StripSessionIDs.

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

/// Words for a session that may mean something else.
const WORDS: &[&str] = &["sid", "sessionid", "session_id", "sessid", "s"];

/// Classic ASP: this, then eight letters.
const ASP: &str = "aspsessionid";

/// Whether a parameter of the query is a session's. `CFID` is one only beside its `CFTOKEN`.
pub(super) fn is_session(name: &str, value: &str, has_cftoken: bool) -> bool {
    let is_any = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    is_any(NAMES)
        || (has_cftoken && name.eq_ignore_ascii_case("cfid"))
        || (is_any(WORDS) && is_drawn(value))
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
