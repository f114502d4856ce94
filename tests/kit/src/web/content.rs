//! What the servers of a [`Web`] say: pages, robots.txt, sitemaps, redirects and refusals, computed on demand.
//!
//! It decides spelling, text, framing and delay from the seed; where a page leads, [`Web::links`] decides.
//! Start reading at [`Web::answer`].

use std::time::Duration;

use super::{Place, Robots, Web, remainder};
use crate::answer::{Answer, Framing};
use crate::seed::mix;

impl Web {
    /// What the server says to the `visit`th request (from 1) for a path of a host.
    pub fn answer(&self, host: &str, path: &str, port: u16, visit: u32, gzip: bool) -> Answer {
        let place = Place::of(path).filter(|&place| self.exists(place));
        let (Some(number), Some(place)) = (self.number(host), place) else {
            return Answer::text(404, "no such page\n");
        };
        let mut answer = match place {
            Place::Robots => self.robots_txt(number, port),
            Place::Sitemap => self.sitemap(number, port),
            Place::Gone(_) => Answer::text(404, "gone\n"),
            Place::Moved(n) => Answer::redirect(301, &Place::Landed(n).path()),
            Place::Flaky(_) if visit <= self.flaky_times => {
                let answer = Answer::text(503, "not now\n");
                match self.retry_after_s {
                    Some(seconds) => answer.with("Retry-After", &seconds.to_string()),
                    None => answer,
                }
            }
            Place::Page(_)
            | Place::Landed(_)
            | Place::Private(_)
            | Place::Flaky(_)
            | Place::After(_)
            | Place::Listed(_) => {
                let answer = Answer::html(&self.html(number, place, port));
                if gzip && self.gzip {
                    answer.gzipped()
                } else {
                    answer
                }
            }
        };
        if mix(self.seed, path).is_multiple_of(3) {
            answer.framing = Framing::Chunked;
        }
        answer.delay = self.delay(host, path);
        answer
    }

    fn exists(&self, place: Place) -> bool {
        match place {
            Place::Page(n) => n < self.pages_per_host,
            Place::Listed(n) => n < self.listed,
            _ => true,
        }
    }

    fn delay(&self, host: &str, path: &str) -> Duration {
        let chance = mix(self.seed, &format!("delay {host}{path}"));
        if self.slow_every != 0 && chance.is_multiple_of(self.slow_every) {
            return Duration::from_millis(self.slow_ms);
        }
        let (least, most) = self.delay_ms;
        Duration::from_millis(least + chance % (most.saturating_sub(least) + 1))
    }

    fn robots_txt(&self, host: usize, port: u16) -> Answer {
        if let Robots::Status(status) = self.robots {
            return Answer::text(status, "");
        }
        let mut text = String::from("# by formula\nUser-agent: *\nDisallow: /private/\nAllow: /\n");
        if let Some(seconds) = self.crawl_delay_s {
            text += &format!("Crawl-delay: {seconds}\n");
        }
        text += &format!("\nSitemap: {}\n", self.url(host, Place::Sitemap, port));
        Answer::text(200, &text)
    }

    fn sitemap(&self, host: usize, port: u16) -> Answer {
        let locs: String = (0..self.listed)
            .map(|n| {
                format!(
                    "  <url><loc>{}</loc></url>\n",
                    self.url(host, Place::Listed(n), port)
                )
            })
            .collect();
        Answer::of(
            200,
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                 <urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n{locs}</urlset>\n"
            ),
        )
    }

    fn html(&self, host: usize, place: Place, port: u16) -> String {
        let path = place.path();
        let title = format!("{}{path}", self.host(host));
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n"
        );
        for (n, (to, target)) in self.links(host, place).into_iter().enumerate() {
            let style = mix(self.seed, &format!("style {title} {n}"));
            let href = self.spelled((host, place), (to, target), port, style);
            html += &format!("<li><a href=\"{href}\">{}</a></li>\n", target.path());
        }
        html += "</ul>\n";
        let mut line = 0u32;
        while html.len() < self.body_bytes {
            let chance = mix(self.seed, &format!("text {title} {line}"));
            html += "<p>";
            for shift in 0..10 {
                let word = remainder(chance >> (shift * 6), WORDS.len());
                html += WORDS[word];
                html.push(' ');
            }
            html += &format!("{line}</p>\n");
            line += 1;
        }
        html + "</body>\n</html>\n"
    }

    /// A link as an author might spell it; all spellings mean the same URL.
    fn spelled(
        &self,
        (from, at): (usize, Place),
        (to, target): (usize, Place),
        port: u16,
        style: u64,
    ) -> String {
        let path = target.path();
        let full = self.url(to, target, port);
        if from != to {
            return full;
        }
        // Home lies at the root, every other page one folder below it.
        let up = if at == Place::Page(0) { "./" } else { "../" };
        match style % 5 {
            0 => path,
            1 => full,
            2 => full
                .trim_start_matches(&self.scheme)
                .trim_start_matches(':')
                .to_owned(),
            3 => format!("{up}{}", path.trim_start_matches('/')),
            _ => format!("{path}#part-{}", style % 97),
        }
    }
}

const WORDS: &[&str] = &[
    "silk", "web", "orb", "thread", "radius", "spiral", "anchor", "leg", "dew", "garden", "branch",
    "wasp", "moth", "patience", "centre", "zigzag", "morning", "shade", "wind", "leaf",
];
