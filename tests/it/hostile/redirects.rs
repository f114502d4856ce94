//! Redirects: loops, endless ones, and those that lead where nobody may go.

use kit::hostile::{PORT, Script};

use super::{case, survive};

fn to(location: &str) -> Script {
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    Script::send(head).kept()
}

#[test]
fn redirects_that_harm() {
    let forbidden = format!("http://127.0.0.2:{PORT}/secret");
    let robots = Script::answer(
        "Content-Type: text/plain\r\n",
        b"User-agent: *\nDisallow: /private/\n",
    );
    let after = survive(vec![
        case("to-itself", to("/attack"), "redirect_limit"),
        case("in-a-ring", to("/ring/1"), "redirect").and("/ring/1", to("/ring/2")).and("/ring/2", to("/attack")),
        case("to-private", to(&forbidden), "redirect"),
        case("to-port", to("http://to-port.test:22/"), "redirect"),
        case("to-file", to("file:///etc/passwd"), "redirect"),
        case("to-gopher", to("gopher://127.0.0.2/x"), "redirect"),
        case("to-script", to("javascript:alert(1)"), "redirect"),
        case("to-data", to("data:text/html,<a href=/smuggled>"), "redirect"),
        case("to-login", to(&format!("http://admin:pass@to-login.test:{PORT}/landed")), "redirect").and("/landed", Script::html("landed")),
        case("to-disallowed", to("/private/x"), "redirect").and("/robots.txt", robots),
        case("to-nothing", to(""), "redirect_limit"),
        case("to-garbage", to("http://[::g]:x/\u{1}"), "redirect"),
        case("to-long", to(&format!("/{}", "a".repeat(100_000))), "redirect"),
        case("without", Script::send("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n").kept(), "redirect"),
        case("injected", to("/good/1\rSet-Cookie: a=b\rX-Forged: yes"), "protocol_error"),
        case("two-ways", Script::send(format!("HTTP/1.1 302 Found\r\nLocation: /good/1\r\nLocation: {forbidden}\r\nContent-Length: 0\r\n\r\n")).kept(), "redirect"),
    ]);
    let outcome = |url: &str| after.outcomes.get(url).map(|line| line.outcome.as_str());
    let port = after.lair.port();
    assert_eq!(
        outcome(&format!("http://127.0.0.2:{port}/secret")),
        Some("address_refused")
    );
    assert_eq!(outcome("http://to-port.test:22/"), Some("port_refused"));
    assert_eq!(
        outcome(&after.lair.url("to-disallowed", "/private/x")),
        Some("robots_denied")
    );
    for (host, path) in after.lair.asked() {
        assert!(!path.starts_with("/private"), "{host}{path}");
    }
}
