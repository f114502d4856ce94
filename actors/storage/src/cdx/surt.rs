//! The key of a URL in the index: its host turned round, and what archives hold to be one page made equal.
//!
//! Gives the same keys as the `surt` package that `cdxj-indexer` and pywb sort by, for every http and https URL
//! that we can have fetched, so that an index of ours can be merged with theirs. It merges far more than
//! [`contract::canonical`] may (case, `www.`, order of parameters): it is for looking up, never for deciding.
//! Start at [`key`].

/// The key of `url`. What is no http or https URL with a host is its own key, without spaces.
pub fn key(url: &str) -> String {
    split(url).map_or_else(
        || url.replace([' ', '\r', '\n', '\t'], ""),
        |parts| parts.key(),
    )
}

struct Parts<'u> {
    https: bool,
    host: &'u [u8],
    port: Option<u16>,
    path: &'u [u8],
    query: &'u [u8],
}

fn split(url: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let https = match scheme {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let authority = authority
        .rsplit_once('@')
        .map_or(authority, |(_, authority)| authority);
    let (host, port) = if let Some(literal) = authority.strip_prefix('[') {
        let (host, after) = literal.split_once(']')?;
        (host, after.strip_prefix(':'))
    } else {
        authority
            .split_once(':')
            .map_or((authority, None), |(host, port)| (host, Some(port)))
    };
    let port = match port {
        None | Some("") => None,
        Some(digits) => Some(digits.parse().ok()?),
    };
    (!host.is_empty()).then_some(Parts {
        https,
        host: host.as_bytes(),
        port,
        path: path.as_bytes(),
        query: query.as_bytes(),
    })
}

impl Parts<'_> {
    fn key(&self) -> String {
        let mut key = turned(self.host);
        let usual = if self.https { 443 } else { 80 };
        if let Some(port) = self.port.filter(|port| *port != usual && *port != 0) {
            key.push_str(&format!(":{port}"));
        }
        key.push(')');
        key.push_str(&path(self.path));
        if let Some(query) = query(self.query) {
            key.push('?');
            key.push_str(&query);
        }
        key
    }
}

/// `www2.Example.ORG` gives `org,example`.
fn turned(host: &[u8]) -> String {
    let host = escape(&decode_fully(host))
        .to_ascii_lowercase()
        .replace("..", ".");
    let host = host.trim_matches('.');
    let bare = host
        .strip_prefix("www")
        .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        .and_then(|rest| rest.strip_prefix('.'))
        .unwrap_or(host);
    let labels: Vec<&str> = bare.rsplit('.').collect();
    labels.join(",")
}

/// Lower case, without dot segments, doubled slashes, a final slash or a session's name.
fn path(raw: &[u8]) -> String {
    let decoded = decode_fully(raw);
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in decoded.split(|byte| *byte == b'/').skip(1) {
        match segment {
            b"." => {}
            b".." => {
                if kept.pop().is_none() {
                    kept.push(segment);
                }
            }
            _ => kept.push(segment),
        }
    }
    // The last segment tells a folder from a file and stays, even empty; other empty ones are doubled slashes.
    let last = kept.pop().unwrap_or_default();
    let mut joined = vec![b'/'];
    for segment in kept.into_iter().filter(|segment| !segment.is_empty()) {
        joined.extend_from_slice(segment);
        joined.push(b'/');
    }
    joined.extend_from_slice(last);
    let mut shown = without_aspx_session(escape(&joined).to_ascii_lowercase());
    if shown.len() > 1 && shown.ends_with('/') {
        shown.pop();
    }
    shown
}

/// Lower case, parameters in order, without session parameters; none where nothing is left.
fn query(raw: &[u8]) -> Option<String> {
    let shown = without_session(escape(&decode_fully(raw))).to_ascii_lowercase();
    if shown.len() < 2 {
        return (!shown.is_empty()).then_some(shown);
    }
    let mut parameters: Vec<&str> = shown.split('&').collect();
    // By name, then a bare name before one with a value, then by value.
    parameters.sort_by_key(|parameter| match parameter.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (*parameter, None),
    });
    Some(parameters.join("&"))
}

/// Undoes percent-encoding until there is none left to undo.
fn decode_fully(bytes: &[u8]) -> Vec<u8> {
    let hex = |byte: Option<&u8>| {
        byte.and_then(|b| char::from(*b).to_digit(16))
            .and_then(|d| u8::try_from(d).ok())
    };
    let mut current = bytes.to_vec();
    while memchr::memchr(b'%', &current).is_some() {
        let mut next = Vec::with_capacity(current.len());
        let mut at = 0;
        while let Some(byte) = current.get(at) {
            match (byte, hex(current.get(at + 1)), hex(current.get(at + 2))) {
                (b'%', Some(high), Some(low)) => {
                    next.push(high << 4 | low);
                    at += 3;
                }
                _ => {
                    next.push(*byte);
                    at += 1;
                }
            }
        }
        if next.len() == current.len() {
            break;
        }
        current = next;
    }
    current
}

/// Encodes all but visible ASCII, and `#` and `%`, which would be read as something else.
fn escape(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'#' | b'%' | 0..=b' ' | 0x7f.. => shown.push_str(&format!("%{byte:02X}")),
            _ => shown.push(char::from(*byte)),
        }
    }
    shown
}

/// Takes `(24 characters)/` or `(a(24 characters)b(24 characters)…)/` out of the path of an `.aspx` page: the
/// session of ASP.NET without cookies.
fn without_aspx_session(path: String) -> String {
    type Shape = fn(&str) -> bool;
    let word = |text: &str| text.len() == 24 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let plain: Shape = |segment| {
        let inner = segment.strip_prefix('(').and_then(|s| s.strip_suffix(')'));
        inner.is_some_and(|i| i.len() == 24 && i.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    let lettered = |segment: &str| {
        let Some(mut inner) = segment.strip_prefix('(').and_then(|s| s.strip_suffix(')')) else {
            return false;
        };
        let mut groups = 0;
        while let Some(group) = inner.get(..27) {
            let fits = group.as_bytes()[0].is_ascii_alphabetic()
                && group[1..]
                    .strip_prefix('(')
                    .and_then(|g| g.strip_suffix(')'))
                    .is_some_and(word);
            if !fits {
                return false;
            }
            groups += 1;
            inner = &inner[27..];
        }
        groups > 0 && inner.is_empty()
    };
    let mut path = path;
    for shape in [&lettered as &dyn Fn(&str) -> bool, &plain] {
        let segments: Vec<&str> = path.split('/').collect();
        // From the last, as the greedy pattern that archives use would find it; what follows has to be a page.
        let found = (1..segments.len().saturating_sub(1)).rev().find(|at| {
            let after = segments[at + 1..].join("/");
            let page = after.find('?').map_or(&after[..], |end| &after[..end]);
            shape(segments[*at]) && page.rfind(".aspx").is_some_and(|dot| dot > 0)
        });
        if let Some(at) = found {
            path = [&segments[..at], &segments[at + 1..]].concat().join("/");
        }
    }
    path
}

/// Takes the parameters out that name a session, the last of each kind.
fn without_session(query: String) -> String {
    let named = |name: &'static str| {
        move |rest: &str| value_after(rest, name, 32, |b| b.is_ascii_alphanumeric())
    };
    let asp = |rest: &str| {
        let rest = rest
            .get(..12)
            .filter(|s| s.eq_ignore_ascii_case("aspsessionid"))
            .map(|_| &rest[12..])?;
        let name = rest
            .get(..8)
            .filter(|s| s.bytes().all(|b| b.is_ascii_alphabetic()))?;
        let value = value_after(&rest[name.len()..], "=", 24, |b| b.is_ascii_alphabetic())?;
        Some(12 + name.len() + value)
    };
    let cold_fusion = |rest: &str| {
        let id = rest
            .get(..5)
            .filter(|s| s.eq_ignore_ascii_case("cfid="))
            .map(|_| &rest[5..])?;
        let id_len = id.find('&').filter(|len| *len > 0)?;
        let token = &id[id_len + 1..];
        let value = token
            .get(..8)
            .filter(|s| s.eq_ignore_ascii_case("cftoken="))
            .map(|_| &token[8..])?;
        let value_len = value.find('&').unwrap_or(value.len());
        (value_len > 0).then_some(5 + id_len + 1 + 8 + value_len)
    };
    let (java, php, sid) = (named("jsessionid="), named("phpsessid="), named("sid="));
    let kinds: [&dyn LengthOf; 5] = [&java, &php, &sid, &asp, &cold_fusion];
    let mut query = query;
    for kind in kinds {
        let found = (0..query.len()).rev().find_map(|at| {
            let len = kind.at_start(query.get(at..)?)?;
            let after = &query[at + len..];
            (after.is_empty() || after.starts_with('&')).then_some((at, at + len))
        });
        if let Some((start, end)) = found {
            let after = query[end..].strip_prefix('&').unwrap_or("").to_owned();
            query.truncate(start);
            query.push_str(&after);
        }
    }
    query
}

/// Finds a session parameter at the start of a text, and how long it is there.
trait LengthOf {
    fn at_start(&self, rest: &str) -> Option<usize>;
}

impl<F: Fn(&str) -> Option<usize>> LengthOf for F {
    fn at_start(&self, rest: &str) -> Option<usize> {
        self(rest)
    }
}

/// The length of `name` and a value of exactly `len` bytes of a kind, at the start of `rest`.
fn value_after(rest: &str, name: &str, len: usize, of: impl Fn(&u8) -> bool) -> Option<usize> {
    let value = rest
        .get(..name.len())
        .filter(|s| s.eq_ignore_ascii_case(name))
        .map(|_| &rest[name.len()..])?;
    value
        .get(..len)?
        .as_bytes()
        .iter()
        .all(of)
        .then_some(name.len() + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_other_archives() {
        #[track_caller]
        fn check(url: &str, want: &str) {
            assert_eq!(key(url), want, "{url}");
        }
        // Expected values: the surt package, version 0.3.1.
        for line in include_str!("surt_cases.txt")
            .lines()
            .filter(|line| !line.is_empty())
        {
            let (url, want) = line.split_once('\t').unwrap();
            check(url, want);
        }
    }

    #[test]
    fn anything_has_a_key() {
        for odd in [
            "",
            "urn:x y",
            "http://",
            "http://[::1",
            "https://a:99999999/",
            "http://%/%?%#%",
            "http://é/ü?ß",
        ] {
            let key = key(odd);
            assert!(!key.contains([' ', '\n']), "{key}");
        }
    }
}
