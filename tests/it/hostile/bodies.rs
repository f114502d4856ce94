//! Bodies: bombs, lies about lengths, broken framing.

use kit::hostile::bodies::{
    brotli_bomb, coded, deflate_bomb, endless, gzip_bomb, head, nested_gzip, raw_deflate, smuggled,
    zstd_bomb, zstd_wide,
};
use kit::hostile::{Script, Step};

use super::{case, survive};

/// A page with a link that is to be read.
const PAGE: &[u8] = b"<!DOCTYPE html><a href=/good/1>1</a>";

/// These header lines, then these bytes, then the end of the connection.
fn sent(lines: &str, body: &[u8]) -> Script {
    head(lines).then(Step::Send(body.to_vec()))
}

#[test]
fn bodies_that_harm() {
    let with_surplus = [PAGE, &smuggled()].concat();
    let length = PAGE.len();
    let chunked = "Transfer-Encoding: chunked\r\n";
    let extension = "a".repeat(100);
    let after = survive(vec![
        case("gzip-bomb", coded("gzip", &gzip_bomb()), "ok"),
        case("deflate-bomb", coded("deflate", &deflate_bomb()), "ok"),
        case("brotli-bomb", coded("br", &brotli_bomb()), "ok"),
        case("zstd-bomb", coded("zstd", &zstd_bomb()), "ok"),
        case("zstd-window", coded("zstd", &zstd_wide(PAGE)), "ok"),
        case(
            "bomb-in-bomb",
            coded("gzip, gzip", &nested_gzip(&gzip_bomb(), 1)),
            "ok",
        ),
        case(
            "three-codings",
            coded("gzip, gzip, gzip", &nested_gzip(PAGE, 3)),
            "ok",
        ),
        case("raw-deflate", coded("deflate", &raw_deflate(PAGE)), "ok"),
        case("wrong-coding", coded("gzip", PAGE), "ok"),
        case("unknown-coding", coded("lzw", PAGE), "ok"),
        case("many-codings", coded(&"gzip, ".repeat(1_000), PAGE), "ok"),
        case(
            "declared-large",
            head("Content-Length: 99999999999\r\n").then(Step::Repeat(b"a".to_vec(), None)),
            "too_large",
        ),
        case("endless", endless(), "too_large"),
        case(
            "endless-chunks",
            head(chunked).then(Step::Repeat(
                format!("3e8\r\n{}\r\n", "a".repeat(1_000)).into_bytes(),
                None,
            )),
            "too_large",
        ),
        // Faster than they are taken: none is ever waited for.
        case(
            "crumbs",
            head(chunked).then(Step::Repeat(b"1\r\na\r\n".to_vec(), None)),
            "answer_timeout",
        ),
        case(
            "negative-length",
            sent("Content-Length: -5\r\n", PAGE),
            "protocol_error",
        ),
        case(
            "huge-length",
            sent("Content-Length: 18446744073709551616\r\n", PAGE),
            "protocol_error",
        ),
        case(
            "two-lengths",
            sent("Content-Length: 5\r\nContent-Length: 36\r\n", PAGE),
            "protocol_error",
        ),
        case(
            "length-and-chunks",
            sent(
                &format!("Content-Length: 5\r\n{chunked}"),
                b"5\r\nhello\r\n0\r\n\r\n",
            ),
            "ok",
        ),
        case(
            "cut-length",
            sent("Content-Length: 5000\r\n", PAGE),
            "truncated",
        ),
        case("cut-chunk", sent(chunked, b"ff\r\nhalf"), "truncated"),
        case(
            "garbage-chunk",
            sent(chunked, b"zz\r\nhello\r\n0\r\n\r\n"),
            "truncated",
        ),
        case(
            "huge-chunk",
            sent(chunked, b"fffffffffffffffff\r\nhello"),
            "truncated",
        ),
        case(
            "extensions",
            head(chunked).then(Step::Repeat(
                format!("1;{extension}\r\na\r\n").into_bytes(),
                None,
            )),
            "truncated",
        ),
        case(
            "endless-extension",
            sent(chunked, b"1;").then(Step::Repeat(b"a".to_vec(), None)),
            "truncated",
        ),
        case(
            "trailers",
            sent(chunked, b"1\r\na\r\n0\r\n").then(Step::Repeat(b"X-A: b\r\n".to_vec(), None)),
            "truncated",
        ),
        case(
            "surplus",
            sent(&format!("Content-Length: {length}\r\n"), &with_surplus).kept(),
            "ok",
        ),
        case(
            "surplus-chunks",
            sent(
                chunked,
                &[&b"5\r\nhello\r\n0\r\n\r\n"[..], &smuggled()].concat(),
            )
            .kept(),
            "ok",
        ),
        case(
            "body-of-204",
            Script::send(
                [
                    &b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"[..],
                    &smuggled(),
                ]
                .concat(),
            )
            .kept(),
            "ok",
        ),
        case("no-end", sent("", PAGE), "ok"),
    ]);
    let declared = &after.outcomes[&after.lair.url("declared-large", "/attack")];
    assert_eq!(declared.status, Some(200));
}
