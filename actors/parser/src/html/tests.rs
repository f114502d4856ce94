//! Tables for the tokenizer and for what is read from it; they share one way of writing tokens down.

use super::*;

/// Tokens in one line: `<a href="x">` start, `</a>` end, text quoted. Only known attributes show.
fn told(html: &str) -> String {
    const SHOWN: [(Attr, &str); 5] = [
        (Attr::Href, "href"),
        (Attr::Src, "src"),
        (Attr::Name, "name"),
        (Attr::Rel, "rel"),
        (Attr::Type, "type"),
    ];
    let mut tokens = Tokens::new(html);
    let mut told = Vec::new();
    while let Some(token) = tokens.next() {
        told.push(match token {
            Token::Start => {
                let tag = tokens.tag();
                let mut line = format!("<{}{}", if tag.foreign() { "~" } else { "" }, tag.name);
                for (attr, name) in SHOWN {
                    if let Some(value) = tokens.attr(attr) {
                        line.push_str(&format!(" {name}={value:?}"));
                    }
                }
                line + if tag.self_closing { "/>" } else { ">" }
            }
            Token::End => format!("</{}>", tokens.tag().name),
            Token::Text(text) => format!("{text:?}"),
        });
    }
    told.join(" ")
}

#[track_caller]
fn check(html: &str, want: &str) {
    assert_eq!(told(html), want, "{html:?}");
}

#[test]
fn tags_and_attributes_in_all_their_forms() {
    check("<a href=x>", r#"<a href="x">"#);
    check("<A HREF='x' hreF=y>", r#"<A href="x">"#); // the first counts
    check("<a href = \"x>y\" name>", r#"<a href="x>y" name="">"#);
    check("<a href='x'name='y'>", r#"<a href="x" name="y">"#);
    check("<a/href=x/>", r#"<a href="x/">"#);
    check("<a href=x />", r#"<a href="x"/>"#);
    check("<a href=>b", r#"<a href=""> "b""#);
    check("<a href=\"\">", r#"<a href="">"#);
    check("<a =href=x href=y>", r#"<a href="y">"#);
    check("<a href==x>", r#"<a href="=x">"#);
    check("<a href=a\"b'c<d`e=f>", "<a href=\"a\\\"b'c<d`e=f\">");
    check("<a\thref\n=\n'x'\x0C>", r#"<a href="x">"#);
    check("<a <b href=x>", r#"<a href="x">"#);
    check("<a href/name=y>", r#"<a href="" name="y">"#);
    check("<a / / href=x>", r#"<a href="x">"#);
    check("<a hr\0ef=x>", "<a>");
    check("<é>", r#""<é>""#);
    check("<aé href=x>", r#"<aé href="x">"#);
    check("<a1-b:c>", "<a1-b:c>");
    check("</a href=x>b", r#"</a> "b""#);
    check("</a/>", "</a>");
}

#[test]
fn what_the_document_cuts_off_is_no_tag() {
    for cut in [
        "<a",
        "<a ",
        "<a href",
        "<a href=",
        "<a href='x",
        "<a href=x",
        "<a href='x'",
        "<a /",
        "</a",
        "</a ",
    ] {
        check(&format!("b{cut}"), r#""b""#);
    }
    check("b<", r#""b" "<""#);
    check("b</", r#""b" "</""#);
    check("<!", "");
    check("<?", "");
    check("</ ", "");
}

#[test]
fn what_only_looks_like_a_tag_is_text_or_a_comment() {
    check("a < b <3 <", r#""a " "< b " "<3 " "<""#);
    check("a</>b", r#""a" "b""#);
    check("a</ b>c", r#""a" "c""#);
    check("a<?php echo '<b>' ?>c", r#""a" "' ?>c""#);
    check("a<!x>b", r#""a" "b""#);
    check("a<!>b", r#""a" "b""#);
    check("<!DOCTYPE html PUBLIC \"a>b\">", r#""b\">""#);
    check("a<![CDATA[<b>]]>c", r#""a" "]]>c""#);
}

#[test]
fn comments_end_where_the_standard_ends_them() {
    check("<!-- <a> -->b", r#""b""#);
    check("<!-->b", r#""b""#);
    check("<!--->b", r#""b""#);
    check("<!---->b", r#""b""#);
    check("<!----->b", r#""b""#);
    check("<!--a--!>b", r#""b""#);
    check("<!--!>b-->c", r#""c""#);
    check("<!----!>b", r#""b""#);
    check("<!--a->b-->c", r#""c""#);
    check("<!-- <!-- -->b", r#""b""#);
    check("<!-- <!-->b", r#""b""#);
    check("<!--a-- >b-->c", r#""c""#);
    check("<!--a", "");
    check("<!--a--", "");
    check("<!- a ->b", r#""b""#);
}

#[test]
fn raw_text_ends_at_its_own_end_tag() {
    check(
        "<title><b>&amp;</b></title><b>",
        r#"<title> "<b>&amp;</b>" </title> <b>"#,
    );
    check(
        "<title></titlex></title >b",
        r#"<title> "</titlex>" </title> "b""#,
    );
    check("<title>a</TITLE/>b", r#"<title> "a" </TITLE> "b""#);
    check(
        "<textarea><a href=x></textarea>",
        r#"<textarea> "<a href=x>" </textarea>"#,
    );
    check("<style>a<b></style><b>", r#"<style> "a<b>" </style> <b>"#);
    check("<style></style>", "<style> </style>");
    check("<style/><b></style>", r#"<style/> "<b>" </style>"#);
    check("<xmp><a></xmp>", r#"<xmp> "<a>" </xmp>"#);
    check(
        "<iframe src=x><a></iframe>",
        r#"<iframe src="x"> "<a>" </iframe>"#,
    );
    check(
        "<noembed><a></noembed><noframes><a></noframes>",
        r#"<noembed> "<a>" </noembed> <noframes> "<a>" </noframes>"#,
    );
    check(
        "<noscript><a href=x></noscript>",
        r#"<noscript> <a href="x"> </noscript>"#,
    );
    check(
        "<plaintext></plaintext><a>",
        r#"<plaintext> "</plaintext><a>""#,
    );
    check("<title>a</title", r#"<title> "a</title""#);
    check("<title>a</title b", r#"<title> "a""#);
    check(
        "<template><a href=x></template>",
        r#"<template> <a href="x"> </template>"#,
    );
}

#[test]
fn scripts_hide_their_end_tag_as_the_standard_lets_them() {
    check(
        "<script>a<b></script><b>",
        r#"<script> "a<b>" </script> <b>"#,
    );
    check(
        "<script><!-- </script>b",
        r#"<script> "<!-- " </script> "b""#,
    );
    check(
        "<script><!-- <script> </script> --></script>b",
        r#"<script> "<!-- <script> </script> -->" </script> "b""#,
    );
    check(
        "<script><!-- <script> </script> </script>b",
        r#"<script> "<!-- <script> </script> " </script> "b""#,
    );
    check(
        "<script><!-- <script> --></script>b",
        r#"<script> "<!-- <script> -->" </script> "b""#,
    );
    check(
        "<script><!--><script></script>b",
        r#"<script> "<!--><script>" </script> "b""#,
    );
    check(
        "<script><!---><script></script>b",
        r#"<script> "<!---><script>" </script> "b""#,
    );
    check(
        "<script><!-- <scriptx> </script>b",
        r#"<script> "<!-- <scriptx> " </script> "b""#,
    );
    check(
        "<script><!-- <script> </script",
        r#"<script> "<!-- <script> </script""#,
    );
    check(
        "<script></scriptx></SCRIPT>b",
        r#"<script> "</scriptx>" </SCRIPT> "b""#,
    );
    check(
        "<script><script></script>b",
        r#"<script> "<script>" </script> "b""#,
    );
}

#[test]
fn foreign_content_has_its_own_rules() {
    check("<svg><title><b>", r#"<~svg> <~title> <b>"#);
    check(
        "<svg><style><a/></style></svg>",
        "<~svg> <~style> <~a/> </style> </svg>",
    );
    check("<svg><![CDATA[<a>]]></svg>", r#"<~svg> "<a>" </svg>"#);
    check("<svg><![CDATA[<a>", r#"<~svg> "<a>""#);
    check(
        "<svg><script>a<b/></script></svg>",
        r#"<~svg> <~script> "a" <b/> </script> </svg>"#,
    );
    check(
        "<svg/><title><b></title>",
        r#"<~svg/> <title> "<b>" </title>"#,
    );
    check(
        "<svg></svg><title><b></title>",
        r#"<~svg> </svg> <title> "<b>" </title>"#,
    );
    check(
        "<svg><p><title><b></title>",
        r#"<~svg> <p> <title> "<b>" </title>"#,
    );
    check(
        "<svg><path/></div><title><b></title>",
        r#"<~svg> <~path/> </div> <title> "<b>" </title>"#,
    );
    check(
        "<svg><foreignObject><title><b></title></foreignObject><title>",
        r#"<~svg> <~foreignObject> <title> "<b>" </title> </foreignObject> <~title>"#,
    );
    check(
        "<svg><svg></svg><a href=x>",
        r#"<~svg> <~svg> </svg> <~a href="x">"#,
    );
    check("<math><mi><a></mi><a>", "<~math> <~mi> <a> </mi> <~a>");
    check(
        "<math><annotation-xml encoding='text/HTML'><style><a></style>",
        r#"<~math> <~annotation-xml> <style> "<a>" </style>"#,
    );
    check(
        "<math><annotation-xml><style><x>",
        "<~math> <~annotation-xml> <~style> <~x>",
    );
    check(
        "<svg><font><x><font color=red><x>",
        "<~svg> <~font> <~x> <font> <x>",
    );
}

/// Every link of `html`, as `kind value`, or `standing value`; an attribute that a test should tell in front.
fn links_of(html: &str, syntax: Syntax) -> Vec<String> {
    let options = HtmlOptions {
        token: "argiope".into(),
        link_attributes: vec!["data-src".into(), "data-srcset".into(), "data-href".into()],
        ..HtmlOptions::default()
    };
    let mut links = Vec::new();
    let found = |link: RawLink<'_>, _: &Tokens<'_>| {
        let how = match link.standing {
            Standing::Followed => link.kind.as_str(),
            other => other.as_str(),
        };
        links.push(format!("{how} {}", link.value));
    };
    read(html, syntax, &options, &mut Watch::new(&|| false), found).unwrap();
    links
}

fn links(html: &str) -> Vec<String> {
    links_of(html, Syntax::Html)
}

#[track_caller]
fn check_links(html: &str, want: &[&str]) {
    assert_eq!(links(html), want, "{html:?}");
}

#[test]
fn every_element_gives_its_links() {
    check_links("<a href=x><area href=y>", &["page x", "page y"]);
    check_links("<a href><a href='#x'><a>", &["page ", "page #x"]);
    check_links(
        "<link rel=stylesheet href=x><link rel='alternate' href=y>",
        &["embed x", "page y"],
    );
    check_links(
        "<link rel=preconnect href=x><link href=y><link rel=canonical>",
        &["hint x"],
    );
    check_links(
        "<link rel=preload imagesrcset='a 1x, b 2x' href=c>",
        &["embed c", "embed a", "embed b"],
    );
    check_links(
        "<script src=x></script><script>var a='<a href=y>'</script>",
        &["embed x"],
    );
    check_links(
        "<img src=x srcset='a 1x, b 2x' longdesc=d>",
        &["embed x", "embed a", "embed b", "page d"],
    );
    check_links("<img src=''><img src='#a'><image src=x>", &["embed x"]);
    check_links(
        "<picture><source srcset='a&amp;b 1x, c'><img src=d></picture>",
        &["embed a&b", "embed c", "embed d"],
    );
    check_links(
        "<frame src=no><iframe src=x longdesc=d></iframe><embed src=z><frameset><frame src=y>",
        &["embed x", "page d", "embed z", "embed y"],
    );
    check_links(
        "<object data=x></object><video src=a poster=b><track src=c></video>",
        &["embed x", "embed a", "embed b", "embed c"],
    );
    check_links(
        "<audio src=a><source src=b></audio>",
        &["embed a", "embed b"],
    );
    check_links(
        "<input type=IMAGE src=x><input type=text src=y>",
        &["embed x"],
    );
    check_links(
        "<body background=x><table background=y>",
        &["embed x", "embed y"],
    );
    check_links(
        "<meta http-equiv=Refresh content='0; URL=x&amp;y'>",
        &["page x&y"],
    );
    check_links(
        "<svg><a href=x></a><a xlink:href=y></a><image href=z /><use href='#u'/></svg>",
        &["page x", "page y", "embed z"],
    );
    check_links(
        "<svg><use xlink:href='s.svg#i'/><style>a{b:url(c)}</style></svg>",
        &["embed s.svg#i", "embed c"],
    );
    check_links(
        "<p style=\"background:url('x')\"><p style='a:url(&quot;y&quot;)'>",
        &["embed x", "embed y"],
    );
    check_links(
        "<style>@import 'x'; a{b:url(y);c:url(#z)}</style>",
        &["embed x", "embed y"],
    );
    check_links(
        "<script type='application/ld+json; x'>{\"url\":\"https://a.test/\"}</script>",
        &["page https://a.test/"],
    );
    check_links(
        "<noscript><img src=x></noscript><template><a href=y></template>",
        &["embed x", "page y"],
    );
    check_links(
        "<div data-src=x data-srcs=y><img DATA-SRC=z>",
        &["embed x", "embed z"],
    );
    check_links("<!-- <a href=x> --><textarea><a href=y></textarea>", &[]);
    check_links(
        "<p data-srcset='a 1x, b 2x' data-href=c data-src='#'>",
        &["embed a", "embed b", "page c"],
    );
    check_links(
        "<blockquote cite=a><q cite=b><ins cite=c><del cite=d><p cite=e>",
        &["page a", "page b", "page c", "page d"],
    );
    check_links(
        "<html manifest=a><body background=b><tr background=c><body background=no><img lowsrc=d>",
        &["embed a", "embed b", "embed c", "embed d"],
    );
    check_links(
        "<object codebase=/c archive='a b /d' data=e></object><applet code=f codebase=g/ archive='h, i'>",
        &[
            "embed e",
            "embed /c/a",
            "embed /c/b",
            "embed /d",
            "embed g/f",
            "embed g/h",
            "embed g/i",
        ],
    );
    check_links(
        "<math><mrow href=a><mi xlink:href=b href=c>x</mi></mrow></math><mrow href=no>",
        &["page a", "page c"],
    );
    check_links(
        "<style type=text/less>a{b:url(no)}</style><style type=' TEXT/css '>a{b:url(x)}</style>",
        &["embed x"],
    );
    check_links(
        "<svg><style>@import &quot;a&quot;; <![CDATA[b{c:url(d)}]]></style></svg>",
        &["embed a", "embed d"],
    );
}

#[test]
fn what_is_not_followed_is_told_how_it_stands() {
    check_links(
        "<form action=a><form action=no><button formaction=b><input type=submit formaction=c \
         formmethod=POST></form><form method=Post action=d><input type=image src=e formaction=f>",
        &["form a", "form b", "post c", "post d", "embed e", "post f"],
    );
    check_links(
        "<form action=''><form><template><form action=a><form action=b></template>",
        &["form a", "form b"],
    );
    check_links(
        "<meta property=og:url content=a><meta name=' Twitter:Image' content=b><meta property=og:title content=no>\
         <meta property=og:image>",
        &["metadata a", "metadata b"],
    );
    check_links("<link rel='pingback' href=x imagesrcset=y>", &["hint x"]);
}

#[test]
fn xhtml_and_svg_documents_are_read_as_xml() {
    #[track_caller]
    fn check(xml: &str, want: &[&str]) {
        assert_eq!(links_of(xml, Syntax::Xml), want, "{xml:?}");
    }
    check(
        "<html><title/><script src='a'/><iframe src='b'/><a href='c'/><textarea/><template/><a href='d'/>",
        &["embed a", "embed b", "page c", "page d"],
    );
    check("<p><![CDATA[<a href='no'>]]></p><a href='a'/>", &["page a"]);
    check("<style><![CDATA[a{b:url(c)}]]></style>", &["embed c"]);
    check(
        "<svg xmlns='http://www.w3.org/2000/svg'><title>x</title><a xlink:href='a'/><image href='b'/></svg>",
        &["page a", "embed b"],
    );
}

#[test]
fn documents_within_are_told_decoded() {
    let html = "<iframe srcdoc='&lt;a href=&quot;x?a&amp;amp;b&quot;&gt;' src=y></iframe>\
                <template><iframe srcdoc=no></iframe></template>";
    let options = HtmlOptions::default();
    let said = read(
        html,
        Syntax::Html,
        &options,
        &mut Watch::new(&|| false),
        |_, _| (),
    )
    .unwrap();
    assert_eq!(said.frames, ["<a href=\"x?a&amp;b\">"]);
    assert_eq!(said.frames_over, 0);
    let many = "<iframe srcdoc=x></iframe>".repeat(FRAMES_MAX + 2);
    let options = HtmlOptions::default();
    let said = read(
        &many,
        Syntax::Html,
        &options,
        &mut Watch::new(&|| false),
        |_, _| (),
    )
    .unwrap();
    assert_eq!((said.frames.len(), said.frames_over), (FRAMES_MAX, 2));
}

#[test]
fn values_are_decoded_and_stripped() {
    check_links("<a href=' x\n'>", &["page x"]);
    check_links("<a href='a\n\tb\r\nc d'>", &["page abc d"]);
    check_links(
        "<a href='?a=1&amp;b=2&copy=3&#x2f;'>",
        &["page ?a=1&b=2&copy=3/"],
    );
    check_links("<a href='&#32;x&#9;y&#10;'>", &["page xy"]);
    check_links("<a href='é\0'>", &["page é\u{FFFD}"]);
}

#[track_caller]
fn check_facts(html: &str, want: &Facts) {
    let options = HtmlOptions {
        token: "argiope".into(),
        ..HtmlOptions::default()
    };
    let said = read(
        html,
        Syntax::Html,
        &options,
        &mut Watch::new(&|| false),
        |_, _| (),
    )
    .unwrap();
    assert_eq!(said.facts, *want, "{html:?}");
}

#[test]
fn a_page_speaks_of_itself() {
    let some = |text: &str| Some(text.to_owned());
    check_facts(
        "<html lang=en><title>\n A &amp;\n<b> </title><title>other</title><meta charset=utf-8>\
         <meta name=Description content=' what  it is '><meta http-equiv=content-language content=de>\
         <meta name=robots content='noindex, NOFOLLOW'><meta name=robots content=noarchive>\
         <meta name=ARGIOPE content=none><meta name=googlebot content=x>\
         <link rel='x canonical' href=' /c '><base target=_top><base href=/b><base href=/no>",
        &Facts {
            title: some("A & <b>"),
            description: some("what it is"),
            canonical: some("/c"),
            language: some("en"),
            robots: some("noindex, NOFOLLOW, noarchive"),
            robots_for_us: some("none"),
            charset: some("utf-8"),
            tdm_reservation: None,
            tdm_policy: None,
            licenses: Vec::new(),
            base: some("/b"),
        },
    );
    check_facts(
        "<svg><title>no</title></svg><title>yes</title>",
        &Facts {
            title: some("yes"),
            ..Facts::default()
        },
    );
    check_facts(
        "<template><title>no</title><base href=no></template><title>yes",
        &Facts {
            title: some("yes"),
            ..Facts::default()
        },
    );
    check_facts("<title></title><title>too late</title>", &Facts::default());
    check_facts(
        "<html><meta http-equiv=Content-Language content=de>",
        &Facts {
            language: some("de"),
            ..Facts::default()
        },
    );
    let long = "é ".repeat(5_000);
    let long = format!("<title>{long}");
    let options = HtmlOptions::default();
    let said = read(
        &long,
        Syntax::Html,
        &options,
        &mut Watch::new(&|| false),
        |_, _| (),
    )
    .unwrap();
    assert_eq!(
        said.facts.title.map(|title| title.chars().count()),
        Some(facts::TEXT_CHARS_MAX)
    );
}

#[test]
fn it_stops_when_time_is_over() {
    let html = "<a href=x>".repeat(20_000);
    let mut found = 0;
    let options = HtmlOptions::default();
    let ended = read(
        &html,
        Syntax::Html,
        &options,
        &mut Watch::new(&|| true),
        |_, _| {
            found += 1;
        },
    );
    assert_eq!(ended.err(), Some(Late));
    assert!((6_000..7_000).contains(&found), "{found} links in 64 KiB");
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_to_its_end(html in r#"([a-z é\n\x00=&;'"/!?-]|<|>|<!--|-->|<script|</script>|<svg>|</svg>|<title|<a href=|style=|url\(|srcset=|<!\[CDATA\[)*"#) {
        links(&html);
        // Text and tags come in order and never overlap.
        let mut tokens = Tokens::new(&html);
        let mut before = 0;
        while tokens.next().is_some() {
            assert!(tokens.position() > before);
            before = tokens.position();
        }
    }
}
