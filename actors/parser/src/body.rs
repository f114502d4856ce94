//! A page's body to plain bytes: content coding undone, as much of it as its kind is worth.
//!
//! Owns the decision how far to decode: the head tells the kind, and what is not read for links is not decoded.
//! It knows no charset and no markup. Invariant: at most `limit` bytes are held, whatever the body inflates to.

use std::ops::ControlFlow;

use contract::coding::{self, Coding, CodingError, WholeGzip};
use contract::page::Exchange;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};

use crate::sniff::{self, HEAD, Kind, Sniffed, Supplied};

/// A body as far as it was decoded.
#[derive(Debug)]
pub struct Plain<'b> {
    pub sniffed: Sniffed,
    /// All of a document that is read at once, cut to the limit; the head of any other.
    pub bytes: &'b [u8],
    /// What still is to be undone to read the body as a stream.
    pub codings: Vec<Coding>,
    /// Why it is not whole.
    pub fault: Option<CodingError>,
}

/// The Content-Type as text.
pub fn content_type(exchange: &Exchange) -> Option<&str> {
    exchange.header(CONTENT_TYPE)
}

/// What the head says of the body's type.
pub fn supplied(exchange: &Exchange) -> Supplied<'_> {
    let nosniff = exchange.header(X_CONTENT_TYPE_OPTIONS).is_some_and(|said| {
        // The first of several values counts (Fetch standard, "determine nosniff").
        let first = said.split(',').next().unwrap_or_default();
        first.trim_ascii().eq_ignore_ascii_case("nosniff")
    });
    Supplied {
        content_type: content_type(exchange),
        nosniff,
    }
}

/// Decodes the body into `buffer`. `listed` says that a sitemap is expected: gzip within is undone, text is read.
pub fn plain<'b>(
    exchange: &'b Exchange,
    limit: usize,
    listed: bool,
    buffer: &'b mut Vec<u8>,
    gzip: &mut WholeGzip,
) -> Plain<'b> {
    let supplied = supplied(exchange);
    buffer.clear();
    let encodings = exchange.headers.get_all(CONTENT_ENCODING).iter();
    let encodings: Vec<_> = encodings.filter_map(|value| value.to_str().ok()).collect();
    let mut codings = match coding::parse(&encodings.join(",")) {
        Ok(codings) => codings,
        Err(fault) => {
            let sniffed = Sniffed {
                kind: Kind::Other,
                ..sniff::sniff(supplied, b"")
            };
            return Plain {
                sniffed,
                bytes: &[],
                codings: Vec::new(),
                fault: Some(fault),
            };
        }
    };
    // The usual image: no byte of it is looked at.
    let at_sight = sniff::sniff(supplied, b"");
    if at_sight.kind == Kind::Other
        && supplied
            .content_type
            .and_then(sniff::essence)
            .is_some_and(|mime| !sniff::looks_within(&mime))
        && !listed
    {
        return Plain {
            sniffed: at_sight,
            bytes: &[],
            codings,
            fault: None,
        };
    }
    if let (true, Some([whole])) = (codings.is_empty(), exchange.body.chunks())
        && !whole.starts_with(GZIP)
    {
        let bytes = &whole[..whole.len().min(limit)];
        return Plain {
            sniffed: sniff::sniff(supplied, bytes),
            bytes,
            codings,
            fault: None,
        };
    }
    // What is read whole anyway is undone at once, where that can be.
    if codings == [Coding::Gzip]
        && matches!(at_sight.kind, Kind::Html | Kind::Svg | Kind::Css)
        && gzip.decode(&exchange.body, limit, buffer)
    {
        return Plain {
            sniffed: sniff::sniff(supplied, buffer),
            bytes: buffer,
            codings,
            fault: None,
        };
    }
    let mut fault = decode(exchange, &codings, supplied, limit, listed, buffer);
    if listed && buffer.starts_with(GZIP) {
        codings.push(Coding::Gzip);
        buffer.clear();
        fault = decode(
            exchange,
            &codings,
            Supplied::default(),
            limit,
            listed,
            buffer,
        );
        return Plain {
            sniffed: sniff::sniff(Supplied::default(), buffer),
            bytes: buffer,
            codings,
            fault,
        };
    }
    Plain {
        sniffed: sniff::sniff(supplied, buffer),
        bytes: buffer,
        codings,
        fault,
    }
}

/// A document that grows beyond this many bytes gets all the room it may use; what it does not touch costs nothing.
const LARGE: usize = 1 << 20;

/// How gzip starts (RFC 1952 section 2.3.1).
const GZIP: &[u8] = b"\x1F\x8B\x08";

fn decode(
    exchange: &Exchange,
    codings: &[Coding],
    supplied: Supplied<'_>,
    limit: usize,
    listed: bool,
    buffer: &mut Vec<u8>,
) -> Option<CodingError> {
    let mut decided = false;
    let mut sink = |piece: &[u8]| {
        let more = buffer.len() + piece.len();
        if more > buffer.capacity() && more > LARGE {
            // All at once: doubling would hold three times as much at its last step, half of it never used.
            buffer.reserve_exact(limit.max(more) - buffer.len());
        }
        buffer.extend_from_slice(piece);
        if !decided && buffer.len() >= HEAD {
            decided = true;
            let whole = match sniff::sniff(supplied, buffer).kind {
                Kind::Html | Kind::Svg | Kind::Css => true,
                Kind::Text => listed,
                Kind::Sitemap | Kind::Other => false,
            };
            if !whole {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    };
    coding::decode(&exchange.body, codings, limit as u64, &mut sink).err()
}
