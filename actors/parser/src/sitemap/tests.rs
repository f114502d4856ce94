//! Documents as the formats' own pages and the web have them, read in pieces of any size.

use proptest::prelude::*;

use super::*;

/// What is found, a line each, and how the document ends; fed in pieces of this many characters.
fn read(text: &str, piece: usize) -> (Vec<String>, Finished) {
    let base = Url::parse("http://a.test/f/feed.xml").unwrap();
    let mut sitemap = Sitemap::new(Some(base));
    let mut lines = Vec::new();
    let mut found = |role: Role, entry: Entry| {
        each_link(role, &entry, |url, kind| {
            lines.push(format!("{} {url}", kind.as_str()))
        });
    };
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest
            .char_indices()
            .nth(piece)
            .map_or(rest.len(), |(at, _)| at);
        if sitemap.feed(&rest[..at], &mut found).is_break() {
            break;
        }
        rest = &rest[at..];
    }
    let finished = sitemap.finish(&mut found);
    (lines, finished)
}

#[track_caller]
fn check(text: &str, format: Format, want: &[&str], end: End) {
    for piece in [1, 2, 7, 1_000_000] {
        let (links, finished) = read(text, piece);
        assert_eq!(links, want, "in pieces of {piece}");
        assert_eq!(
            (finished.format, finished.end),
            (format, end),
            "in pieces of {piece}"
        );
    }
}

/// The entries of a document, as they are.
fn entries(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut sitemap = Sitemap::new(None);
    let mut found = |_: Role, entry: Entry| entries.push(entry);
    let _more = sitemap.feed(text, &mut found);
    sitemap.finish(&mut found);
    entries
}

#[test]
fn sitemaps_and_indexes() {
    // sitemaps.org, Google's image sitemaps, hreflang in sitemaps.
    check(
        "<?xml version='1.0' encoding='UTF-8'?><!DOCTYPE urlset [<!ENTITY x 'y>'><!-- don't -->]>\
         <urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9' xmlns:i='http://www.google.com/schemas/sitemap-image/1.1' xmlns:x='http://www.w3.org/1999/xhtml'>\
         <url><loc>\n http://a.test/?a=1&amp;b=2 \n</loc><lastmod>2026-01-01</lastmod>\
         <i:image><i:loc>http://a.test/i.png</i:loc></i:image>\
         <x:link rel='alternate' hreflang='de' href='http://a.test/de?a&amp;b'/></url>\
         <!-- > --><url><loc><![CDATA[http://a.test/c>d]]></loc></url></urlset>\n",
        Format::Urlset,
        &[
            "page http://a.test/?a=1&b=2",
            "page http://a.test/de?a&b",
            "embed http://a.test/i.png",
            "page http://a.test/c>d",
        ],
        End::Whole,
    );
    check(
        "<s:sitemapindex xmlns:s='urn:own'><s:sitemap><s:loc>http://a.test/1.xml</s:loc></s:sitemap><loc>http://a.test/2.xml</loc></s:sitemapindex>",
        Format::SitemapIndex,
        &["sitemap http://a.test/1.xml", "sitemap http://a.test/2.xml"],
        End::Whole,
    );
    // No namespace, a wrong one, no root, a wrong root.
    check(
        "<urlset><url><loc>http://a.test/</loc></url></urlset>",
        Format::Urlset,
        &["page http://a.test/"],
        End::Whole,
    );
    check(
        "<urlset xmlns='http://x.test/'><url><loc>http://a.test/</loc></url></urlset>",
        Format::Urlset,
        &["page http://a.test/"],
        End::Whole,
    );
    check(
        "<url><loc>/a</loc></url><url><loc>/b</loc></url>",
        Format::Urlset,
        &["page /a", "page /b"],
        End::Whole,
    );
    check(
        "<urlset><sitemap><loc>/s.xml</loc></sitemap></urlset>",
        Format::Urlset,
        &["sitemap /s.xml"],
        End::Whole,
    );
    // Google's video sitemaps.
    check(
        "<urlset><url><loc>/v</loc><video:video><video:thumbnail_loc>/t.jpg</video:thumbnail_loc><video:title>A</video:title>\
         <video:content_loc>/v.mp4</video:content_loc><video:player_loc autoplay='1'>/p</video:player_loc></video:video></url></urlset>",
        Format::Urlset,
        &["page /v", "embed /t.jpg", "embed /v.mp4", "embed /p"],
        End::Whole,
    );
}

#[test]
fn what_is_said_of_a_page_is_kept() {
    let found = entries(
        "<urlset><url><loc>/n</loc><lastmod> 2026-01-01 </lastmod><changefreq>daily</changefreq><priority>0.8</priority>\
         <news:news><news:publication><news:name>The A &amp; B</news:name><news:language>en</news:language></news:publication>\
         <news:publication_date>2026-01-02</news:publication_date><news:title>T <b>x</b></news:title></news:news>\
         <image:image><image:loc>/1.png</image:loc><image:title>no title</image:title></image:image></url></urlset>",
    );
    let want = Entry {
        loc: Some("/n".into()),
        lastmod: Some("2026-01-01".into()),
        changefreq: Some("daily".into()),
        priority: Some("0.8".into()),
        news: Some(entry::News {
            name: Some("The A & B".into()),
            language: Some("en".into()),
            publication_date: Some("2026-01-02".into()),
            title: Some("T x".into()),
        }),
        images: vec!["/1.png".into()],
        ..Entry::default()
    };
    assert_eq!(found, [want]);
}

#[test]
fn feeds() {
    // RSS 2.0 with what is usual in it.
    check(
        "<rss version='2.0' xmlns:atom='http://www.w3.org/2005/Atom' xmlns:media='http://search.yahoo.com/mrss/'><channel><link>http://a.test/</link><atom:link rel='self' href='f.xml'/>\
         <image><url>http://a.test/logo.png</url><link>http://a.test/</link><title>x</title></image>\
         <item><title>no http://x.test/</title><link>http://a.test/1</link><guid>http://a.test/p1</guid>\
         <enclosure url='http://a.test/1.mp3'/><media:group><media:content url='http://a.test/1.jpg'/></media:group></item>\
         <item><guid isPermaLink='false'>http://a.test/no</guid><description><p>a<br><a href=x>b</a><link>http://x.test/</link></description><comments>/c</comments></item>\
         <item><guid>http://a.test/3</guid></item></channel></rss>",
        Format::Rss,
        &[
            "page http://a.test/1",
            "page http://a.test/p1",
            "embed http://a.test/1.mp3",
            "embed http://a.test/1.jpg",
            "page /c",
            "page http://a.test/3",
            "page http://a.test/",
            "embed http://a.test/logo.png",
        ],
        End::Whole,
    );
    // Atom (RFC 4287), with xml:base and text that is markup.
    check(
        "<feed xmlns='http://www.w3.org/2005/Atom'><link href='/'/><link rel='self' href='/f'/><link rel='next' href='/f?2'/>\
         <entry xml:base='http://b.test/x/'><link rel='alternate' href='1'/><link rel='edit' href='/no'/>\
         <link rel='enclosure' href='1.mp3'/><content type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'><link href='/no'/><content/></div></content></entry>\
         <entry><id>urn:2</id><content src='/2.pdf'/><source><link href='/no'/></source></entry></feed>",
        Format::Atom,
        &[
            "page http://b.test/x/1",
            "embed http://b.test/x/1.mp3",
            "embed /2.pdf",
            "page /",
            "page /f?2",
        ],
        End::Whole,
    );
    // RSS 1.0.
    check(
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/'><channel rdf:about='x'><link>/</link>\
         <items><rdf:Seq><rdf:li resource='/no'/></rdf:Seq></items></channel><item rdf:about='/y'><link>http://a.test/1</link></item><item rdf:about='/2'/></rdf:RDF>",
        Format::Rdf,
        &["page http://a.test/1", "page /2", "page /"],
        End::Whole,
    );
    // JSON Feed 1.1.
    check(
        r#"{"version":"https://jsonfeed.org/version/1.1","home_page_url":"/","feed_url":"/f","next_url":"/f?2","items":[{"id":1,"url":"/1","external_url":"http://b.test/",
        "image":"/1.png","attachments":[{"url":"/1.mp3","mime_type":"audio/mpeg"}]},{"id":"2","external_url":"/2"},7]}"#,
        Format::JsonFeed,
        &[
            "page /1",
            "page http://b.test/",
            "embed /1.png",
            "embed /1.mp3",
            "page /2",
            "page /",
            "page /f?2",
        ],
        End::Whole,
    );
}

#[test]
fn broken_xml_is_read_as_far_as_it_makes_sense() {
    let good = "<urlset><url><loc>http://a.test/1</loc></url>";
    let one = ["page http://a.test/1"];
    for cut in ["<url><loc>http://a.test/2", "<url><loc", "<!-- ", ""] {
        check(&format!("{good}{cut}"), Format::Urlset, &one, End::Broken);
    }
    check(
        &format!("{good}<url><loc>http://a.test/2</lo"),
        Format::Urlset,
        &["page http://a.test/1", "page http://a.test/2"],
        End::Broken,
    );
    #[track_caller]
    fn links(text: &str, want: &[&str]) {
        for piece in [1, 3, 1_000_000] {
            assert_eq!(read(text, piece).0, want, "in pieces of {piece}");
        }
    }
    links(
        "<urlset><loc>http://a.test/?a=1&b=2&unknown;&#233;&eacute;&copy=3</loc></urlset>",
        &["page http://a.test/?a=1&b=2&unknown;éé&copy=3"],
    );
    links("<urlset></x></url><loc>http://a.test/1</loc>", &one);
    // Tags that are never closed, closed by another name, without their end.
    links(
        "<urlset><url><loc>/1<lastmod>2026<url><loc>/2</loc></urlset>",
        &["page /1", "page /2"],
    );
    links(
        "<urlset><url><loc>/1</lco></url><url><loc>/2</loc</url></urlset>",
        &["page /1", "page /2"],
    );
    links(
        "<rss><channel><item><title>a<link>/1</link><description>b <b>c<item><link>/2</link></item></channel>",
        &["page /1", "page /2"],
    );
    links(
        "<rss><item><title>1 < 2 & 3</title><link>/1</link></item></rss>",
        &["page /1"],
    );
    links(
        "<feed><entry><link href=/1 rel=alternate></entry><entry><link href='/2></entry></feed>",
        &["page /1", "page /2"],
    );
    // A second URL in an entry; a CDATA section's end without a bracket.
    links(
        "<urlset><url><loc>/1</loc><loc>/2</loc></url></urlset>",
        &["page /1", "page /2"],
    );
    links(
        "<urlset><url><loc><![CDATA[/1]></loc></url><url><loc><![CDATA[/]]x>2]]></loc></url></urlset>",
        &["page /1", "page /]]x>2"],
    );
    // What should not be before the root; a declaration without its end.
    links(
        "Warning: x in y.php on line 3\n<?xml version='1.0'?><rss><channel><item><link>/1</link></item></channel></rss>",
        &["page /1"],
    );
    links(
        "\n\n <?xml version='1.0'>\n<rss><channel><item><link>/1</link></item></channel></rss>",
        &["page /1"],
    );
    links(
        "<!DOCTYPE html><html><body><a href='/x'>x</a><p>no sitemap</html>",
        &[],
    );
    // No entity is expanded, whatever a document type declares (CAPEC-197).
    links(
        "<!DOCTYPE x [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]><urlset><url><loc>/&b;</loc></url></urlset>",
        &["page /&b;"],
    );
    check("no xml at all", Format::None, &[], End::Whole);
    check("", Format::None, &[], End::Whole);
    check("{\"items\":[", Format::None, &[], End::Broken);
}

#[test]
fn a_post_without_a_url_and_a_title_of_markup_are_kept() {
    let found = entries(
        "<feed xmlns='http://www.w3.org/2005/Atom'><entry><title type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'>A <b>b</b></div></title></entry></feed>",
    );
    let want = Entry {
        title: Some("A b".into()),
        ..Entry::default()
    };
    assert_eq!(found, [want]);
    assert_eq!(entries("{\"a\":1}"), []);
}

#[test]
fn text_sitemaps() {
    check(
        "\u{FEFF}http://a.test/1\r\n\n  HTTPS://a.test/2 \n# no\nftp://a.test/\n/3\rhttp://a.test/4",
        Format::Text,
        &["page http://a.test/1", "page HTTPS://a.test/2"],
        End::Whole,
    );
}

#[test]
fn bounds_hold() {
    let many = format!(
        "<urlset>{}</urlset>",
        "<url><loc>http://a.test/</loc></url>".repeat(ENTRIES_MAX + 5)
    );
    let (links, finished) = read(&many, 100_000);
    assert_eq!((links.len(), finished.end), (ENTRIES_MAX, End::Full));
    let many = "http://a.test/\n".repeat(ENTRIES_MAX + 5);
    let (links, finished) = read(&many, 100_000);
    assert_eq!((links.len(), finished.end), (ENTRIES_MAX, End::Full));
    let long = format!("<urlset><url><loc>{}</loc></url>", "é".repeat(100_000));
    let (links, _) = read(&long, 1_000);
    assert!((URL_BYTES_MAX..=TEXT_MAX + 5).contains(&links[0].len()));
    let (links, finished) = read(&format!("<urlset><!--{}", ">".repeat(1_000_000)), 50_000);
    assert_eq!((links.len(), finished.end), (0, End::Broken));
    let deep = format!("<urlset>{}<url><loc>a</loc></url>", "<x>".repeat(10_000));
    assert_eq!(read(&deep, 1_000).0, ["page a"]);
}

proptest! {
    #[test]
    fn the_size_of_the_pieces_does_not_matter(
        text in "(<urlset>|<rss>|<feed>)?(<loc>|</loc>|<url>|</url>|<item>|</item>|<link href='|'|<link>|</link>|<title>|</title>|<description>|</description>|/>|<!--|-->|<!\\[CDATA\\[|\\]\\]>|<!D|<\\?|\\?>|&amp;|&|[<>a;é ?!\n])*",
        piece in 1_usize..9,
    ) {
        prop_assert_eq!(read(&text, piece), read(&text, usize::MAX));
    }
}
