//! What the project's Prometheus has scraped, by its HTTP API.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// The value of an expression for each address of a node; nothing while Prometheus does not answer yet.
pub(crate) fn by_node(at: &str, expression: &str) -> BTreeMap<String, f64> {
    let query: String = expression.replace(' ', "%20");
    let Some(told) = get(at, &format!("/api/v1/query?query={query}")) else {
        return BTreeMap::new();
    };
    let found = told["data"]["result"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let one = |series: &Value| {
        let instance = series["metric"]["instance"].as_str()?;
        let address = instance.strip_suffix(":9100")?.to_owned();
        Some((address, series["value"][1].as_str()?.parse().ok()?))
    };
    found.iter().filter_map(one).collect()
}

/// HTTP/1.0, so that the answer is neither chunked nor followed by anything.
fn get(at: &str, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ")
        .then(|| serde_json::from_str(body).ok())?
}
