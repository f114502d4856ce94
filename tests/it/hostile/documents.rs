//! Documents: HTML, sitemaps and robots.txt that are too deep, too wide, too long or never closed.

use kit::hostile::bodies::{coded, gzip_bomb, head};
use kit::hostile::documents::{
    attributes, billion_laughs, external_entity, flood, giant_attribute, links, nested, unclosed,
    utf_16,
};
use kit::hostile::{PORT, Script, Step};

use super::{Case, case, survive};

fn html(text: &str) -> Script {
    Script::html(format!("<!DOCTYPE html>{text}"))
}

/// A sitemap that robots.txt names.
fn sitemap(name: &'static str, script: Script) -> Case {
    let robots = format!("Sitemap: http://{name}.test:{PORT}/attack\n");
    let robots = Script::answer("Content-Type: text/plain\r\n", robots.as_bytes());
    case(name, script, "ok").and("/robots.txt", robots)
}

fn xml(text: &str) -> Script {
    Script::answer("Content-Type: application/xml\r\n", text.as_bytes())
}

#[test]
fn documents_that_harm() {
    let plain = |text: &[u8]| Script::answer("Content-Type: text/plain\r\n", text);
    let rules = head("").then(Step::Repeat(
        b"User-agent: *\nDisallow: /not/here\n".to_vec(),
        None,
    ));
    let index = format!(
        "<sitemapindex xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\"><sitemap>\
         <loc>http://index-loop.test:{PORT}/attack</loc></sitemap></sitemapindex>"
    );
    let entry = b"<url><loc>http://f.test/a</loc></url>".to_vec();
    let after = survive(vec![
        case("nested", html(&nested(100_000)), "ok"),
        case("attributes", html(&attributes(700_000)), "ok"),
        case("links", html(&links(40_000)), "ok"),
        case("giant-attribute", html(&giant_attribute(6_000_000)), "ok"),
        case("comment", html(&unclosed("<!--")), "ok"),
        case("script", html(&unclosed("<script>")), "ok"),
        case("style", html(&unclosed("<style>")), "ok"),
        case("textarea", html(&unclosed("<textarea>")), "ok"),
        case("title", html(&unclosed("<title>")), "ok"),
        case("plaintext", html(&unclosed("<plaintext>")), "ok"),
        case("quote", html(&unclosed("<p title='")), "ok"),
        case("tag-in-tag", html(&flood("<a href=\"<a href='")), "ok"),
        case("less-than", html(&flood("<")), "ok"),
        case(
            "ampersands",
            html(&format!("<p title=\"{}\">", flood("&amp"))),
            "ok",
        ),
        case("bang", html(&flood("<!")), "ok"),
        case(
            "cdata",
            html(&format!("<svg>{}", flood("<![CDATA[]]"))),
            "ok",
        ),
        case("nul", html(&flood("\0<a\0href=/x\0>")), "ok"),
        case(
            "not-utf-8",
            Script::html([&b"<a href=/good/1\xff>\xc3"[..], &[0x80; 100_000]].concat()),
            "ok",
        ),
        case(
            "utf-16",
            Script::html(utf_16("<a href=/good/1>1</a>")),
            "ok",
        ),
        case(
            "utf-7",
            Script::answer(
                "Content-Type: text/html; charset=utf-7\r\n",
                b"+ADw-a href=/smuggled+AD4-",
            ),
            "ok",
        ),
        case(
            "srcset",
            html(&format!("<img srcset=\"{}\">", flood("//f.test/a 1x, "))),
            "ok",
        ),
        case(
            "style-urls",
            html(&format!(
                "<style>{}</style>",
                flood("a{background:url(//f.test/a)}")
            )),
            "ok",
        ),
        case(
            "json-ld",
            html(&format!(
                "<script type=application/ld+json>{}",
                flood("[{\"a\":")
            )),
            "ok",
        ),
        case(
            "frames",
            html(&format!("<iframe srcdoc=\"{}", flood("<iframe srcdoc='"))),
            "ok",
        ),
        case("bases", html(&flood("<base href=//f.test/>")), "ok"),
        case(
            "refresh",
            html(&flood("<meta http-equiv=refresh content='0;//f.test/a'>")),
            "ok",
        ),
        sitemap("laughs", xml(&billion_laughs())),
        sitemap("external", xml(&external_entity())),
        sitemap("index-loop", xml(&index)),
        sitemap("deep-map", xml(&flood("<urlset>"))),
        sitemap(
            "map-bomb",
            Script::answer("Content-Type: application/gzip\r\n", &gzip_bomb()),
        ),
        case(
            "endless-map",
            head("").then(Step::Repeat(entry, None)),
            "too_large",
        ),
        case("endless-robots", html("tame"), "ok").and("/robots.txt", rules),
        case("robots-bomb", html("tame"), "ok").and("/robots.txt", coded("gzip", &gzip_bomb())),
        case("robots-groups", html("tame"), "ok").and(
            "/robots.txt",
            plain(flood("User-agent: a\nDisallow: /\n").as_bytes()),
        ),
        case("robots-stars", html("tame"), "ok").and(
            "/robots.txt",
            plain(format!("User-agent: *\nDisallow: /{}$\n", "*a".repeat(100_000)).as_bytes()),
        ),
    ]);
    let told = std::fs::read_to_string(after.crawl.path("logs/crawl.jsonl")).unwrap();
    let hostname = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let leaked = format!("http://f.test/{}", hostname.trim());
    assert!(
        hostname.trim().is_empty() || !told.contains(&leaked),
        "a file was read"
    );
}
