//! robots.txt within a lease: known from the frontier, or fetched before the first page of its origin.
//!
//! Owns what an answer to `/robots.txt` means (RFC 9309 section 2.3.1) and for how long it holds (24 h, section 2.4).
//! The file's reading is [`crate::robots`]'. Invariant: no page of an origin is requested before its robots.txt was
//! asked for, and none while it cannot be had. Start at [`Run::known`].

use std::rc::Rc;
use std::time::Duration;

use contract::Url;
use contract::clock::Wall;
use contract::coding;
use contract::crawl::RobotsPolicy;
use contract::error::ErrorClass;
use contract::host::{Host, Origin};
use contract::lease::Queued;
use contract::link::LinkKind;
use contract::outcome::Outcome;
use contract::page::{Cut, Exchange, Fate, Page, PageLife, Place, Verdict};
use contract::rights::Statement;
use contract::robots::{RobotsAnswer, RobotsRecord};
use http::header::CONTENT_ENCODING;

use super::Run;
use super::request::redirect_target;
use crate::error::FetchError;
use crate::holding::Stop;
use crate::http::{Answered, Wanted};
use crate::judge::Facts;
use crate::rights::SiteRights;
use crate::robots::{BODY_MAX, Robots, Rules};

/// An answer is good for so long (RFC 9309 section 2.4).
pub(super) const GOOD_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Redirects in a row that are followed (RFC 9309 section 2.3.1.2).
const REDIRECTS_MAX: usize = 5;

/// What holds for the pages of an origin.
#[derive(Debug)]
pub(super) enum Known {
    Rules(Rules, SiteRights),
    /// It could not be had, often enough: complete disallow.
    Unreachable(String),
    /// Its pages would fail the same way (a wrong certificate): what their outcome is.
    Failing(Facts),
}

impl Known {
    /// Nothing is forbidden, nothing is said.
    fn free() -> Self {
        Self::Rules(Rules::default(), SiteRights::default())
    }

    /// What the site says of the use of this page.
    pub(super) fn said(&self, url: &Url) -> Vec<Statement> {
        match self {
            Self::Rules(_, rights) => rights.said(path_and_query(url)),
            Self::Unreachable(_) | Self::Failing(_) => Vec::new(),
        }
    }
}

/// What a record means now.
enum Standing {
    Holds(Known),
    /// The host is to be left alone for so long before it is asked again.
    Rests(Duration),
    /// It is to be asked for, as the time after this many failures.
    Ask(u8),
}

/// How asking for it ended: at this URL, whose request was sent then.
struct Asked {
    url: Url,
    began: Wall,
    end: Result<(Box<Answered>, RobotsAnswer), FetchError>,
}

impl Run {
    /// What holds for the origin's pages; asks for its robots.txt where that is not known.
    pub(super) async fn known(&mut self, origin: &Origin) -> Result<Rc<Known>, Stop> {
        if let Some(known) = self.known.get(origin) {
            return Ok(known.clone());
        }
        let record = self
            .records
            .iter()
            .find(|(of, _)| of == origin)
            .map(|(_, record)| record);
        let known = match record.map_or(Standing::Ask(0), |record| self.standing(record)) {
            Standing::Holds(known) => known,
            Standing::Rests(rest) => {
                self.hold.rest(rest).await?;
                return Err(Stop::Rest);
            }
            Standing::Ask(failures) => self.ask_robots(origin, failures).await?,
        };
        let known = match known {
            Known::Rules(rules, rights) if self.asks_for_tdm(&rules) => {
                let rights = self.tdm(origin, rights).await?;
                Known::Rules(rules, rights)
            }
            known => known,
        };
        let known = Rc::new(known);
        self.known.insert(origin.clone(), known.clone());
        Ok(known)
    }

    /// Why a URL may not be fetched, if it may not. Learns the host's delay on the way.
    pub(super) async fn forbidden(
        &mut self,
        url: &Url,
        known: &Known,
    ) -> Result<Option<Verdict>, Stop> {
        let verdict = |outcome, detail| {
            Some(Verdict {
                outcome,
                detail: Some(detail),
                fate: Fate::Done,
            })
        };
        let rules = match known {
            _ if self.shell.settings.robots == RobotsPolicy::Ignore => return Ok(None),
            Known::Rules(rules, _) => rules,
            Known::Unreachable(reason) => {
                return Ok(verdict(Outcome::RobotsUnreachable, reason.clone()));
            }
            Known::Failing(facts) => {
                let (outcome, detail) = (facts.outcome, facts.detail.clone());
                return Ok(Some(Verdict {
                    outcome,
                    detail,
                    fate: Fate::Done,
                }));
            }
        };
        let decided = rules.decide(path_and_query(url));
        if !decided.allowed {
            return Ok(verdict(Outcome::RobotsDenied, decided.to_string()));
        }
        if let Some(delay) = rules.crawl_delay() {
            if delay > Duration::from_secs(self.shell.settings.pace.crawl_delay_s_max) {
                return Ok(verdict(
                    Outcome::HostParked,
                    format!("Crawl-delay of {} s", delay.as_secs()),
                ));
            }
            self.hold.learn_delay(delay).await?;
        }
        Ok(None)
    }

    /// Whether the purpose wants the site's tdmrep.json, and its robots.txt lets it be had.
    fn asks_for_tdm(&self, rules: &Rules) -> bool {
        let settings = &self.shell.settings;
        let may = settings.robots == RobotsPolicy::Ignore || rules.decide(super::tdm::PATH).allowed;
        settings.purpose.is_mining() && may
    }

    fn standing(&self, record: &RobotsRecord) -> Standing {
        let now = self.shell.clock.wall();
        // A record from the future (a clock that went back) is an old one.
        let age = now
            .0
            .checked_sub(record.fetched.0)
            .map_or(GOOD_FOR, Duration::from_micros);
        if age >= GOOD_FOR {
            return Standing::Ask(0);
        }
        match &record.answer {
            RobotsAnswer::Unreachable { reason } => {
                match self.shell.config.robots_rest(record.failures) {
                    None => Standing::Holds(Known::Unreachable(reason.to_string())),
                    Some(rest) if age < rest => Standing::Rests(rest - age),
                    Some(_) => Standing::Ask(record.failures),
                }
            }
            answer => Standing::Holds(self.rules_of(answer)),
        }
    }

    fn rules_of(&self, answer: &RobotsAnswer) -> Known {
        match answer {
            RobotsAnswer::File(body) => {
                let rules = Robots::parse(body).rules_for(&self.shell.settings.robots_agent);
                let rights = SiteRights::of(&rules);
                Known::Rules(rules, rights)
            }
            RobotsAnswer::Unavailable { .. } => Known::free(),
            RobotsAnswer::Unreachable { reason } => Known::Unreachable(reason.to_string()),
        }
    }

    /// Asks for an origin's robots.txt, hands its record on and says what it means.
    async fn ask_robots(&mut self, origin: &Origin, failures: u8) -> Result<Known, Stop> {
        let Ok(start) = Url::parse(&format!("{origin}/robots.txt")) else {
            return Ok(Known::free());
        };
        let Asked { url, began, end } = self.follow_robots(start).await?;
        let fetched = self.shell.clock.wall();
        let (exchange, answer, facts) = match end {
            Ok((answered, answer)) => {
                let result = Ok(*answered);
                let facts = Facts::of(&result, fetched.millis());
                (result.ok().map(|answered| answered.exchange), answer, facts)
            }
            Err(error) => match error.class() {
                ErrorClass::Permanent => return Ok(Known::Failing(Facts::of_error(&error))),
                ErrorClass::System => {
                    self.shell.fault(&error);
                    return Err(Stop::Ill);
                }
                ErrorClass::Transient => {
                    let reason = error.to_string().into_boxed_str();
                    (
                        None,
                        RobotsAnswer::Unreachable { reason },
                        Facts::of_error(&error),
                    )
                }
            },
        };
        let is_unreachable = matches!(answer, RobotsAnswer::Unreachable { .. });
        let failures = if is_unreachable {
            failures.saturating_add(1)
        } else {
            0
        };
        let known = self.rules_of(&answer);
        let record = RobotsRecord {
            answer,
            fetched,
            failures,
        };
        let obey = self.shell.settings.robots == RobotsPolicy::Obey;
        let rest = self
            .shell
            .config
            .robots_rest(failures)
            .filter(|_| is_unreachable && obey);
        // A Retry-After longer than ours is kept too, up to its bound; beyond it, ours is as good as any.
        let bound = Duration::from_secs(self.shell.settings.pace.retry_after_s_max);
        let rest = rest.map(|rest| rest.max(facts.retry_after.unwrap_or_default().min(bound)));
        if let Some(rest) = rest {
            if let RobotsAnswer::Unreachable { reason } = &record.answer {
                // A person who waits for minutes wants to know what for.
                tracing::warn!(%origin, %reason, rest_s = rest.as_secs(), "robots.txt cannot be had, the host rests");
            }
            self.hold.rest(rest).await?;
        }
        self.hand_robots(origin, url, record, exchange, facts, began)
            .await?;
        if rest.is_some() {
            self.shell.meters.rests.increment(1);
            return Err(Stop::Rest);
        }
        Ok(known)
    }

    /// The exchanges, redirects included; each redirect's record is handed on as it comes.
    async fn follow_robots(&mut self, mut url: Url) -> Result<Asked, Stop> {
        let mut hops = 0;
        loop {
            let mut begun = self.nothing_begun();
            let wanted = Wanted::Start(BODY_MAX as u64 + 1);
            let result = if Host::of(&url).as_ref() == Some(&self.hold.host) {
                self.request(&url, Duration::ZERO, &mut begun, (wanted, None))
                    .await?
            } else {
                self.elsewhere(&url, &mut begun, wanted).await?
            };
            let began = begun.began;
            let answered = match result {
                Ok(answered) => Box::new(answered),
                Err(error) => {
                    return Ok(Asked {
                        url,
                        began,
                        end: Err(error),
                    });
                }
            };
            let target = redirect_target(&url, &answered).filter(|target| {
                // A redirect that may not be followed is a robots.txt that there is not.
                hops < REDIRECTS_MAX && self.may_dial(target).is_ok()
            });
            let Some(target) = target else {
                let answer = answer_of(&answered);
                return Ok(Asked {
                    url,
                    began,
                    end: Ok((answered, answer)),
                });
            };
            hops += 1;
            let verdict = Verdict {
                outcome: Outcome::Redirect,
                detail: None,
                fate: Fate::Done,
            };
            let page =
                self.robots_page(url, Place::Beside, began, verdict, Some(answered.exchange));
            self.hand(page).await?;
            url = target;
        }
    }

    async fn hand_robots(
        &mut self,
        origin: &Origin,
        url: Url,
        record: RobotsRecord,
        exchange: Option<Exchange>,
        facts: Facts,
        began: Wall,
    ) -> Result<(), Stop> {
        let sitemaps = match &record.answer {
            RobotsAnswer::File(body) => sitemaps_of(&url, body),
            RobotsAnswer::Unavailable { .. } | RobotsAnswer::Unreachable { .. } => Vec::new(),
        };
        let place = Place::Robots {
            origin: origin.clone(),
            record: Box::new(record),
            sitemaps,
        };
        let verdict = Verdict {
            outcome: facts.outcome,
            detail: facts.detail,
            fate: Fate::Done,
        };
        let page = self.robots_page(url, place, began, verdict, exchange);
        self.hand(page).await
    }

    pub(super) fn robots_page(
        &self,
        url: Url,
        place: Place,
        began: Wall,
        verdict: Verdict,
        exchange: Option<Exchange>,
    ) -> Page {
        let queued = Queued {
            url: url.as_str().into(),
            kind: LinkKind::Page,
            depth: 0,
            hops: 0,
            tries: 0,
            via: None,
            earlier: None,
        };
        Page {
            host: self.hold.host.clone(),
            token: self.hold.token,
            place,
            url,
            queued,
            began,
            deadline: self.page_deadline(),
            verdict,
            exchange: exchange.map(Box::new),
            said: Vec::new(),
            life: PageLife::begin(&self.shell.gauge),
        }
    }
}

/// RFC 9309 section 2.3.1: 2xx is the file, 4xx and redirects that lead nowhere are none, the rest is unreachable.
fn answer_of(answered: &Answered) -> RobotsAnswer {
    let exchange = &answered.exchange;
    let status = exchange.status.as_u16();
    let unreachable = |reason: String| RobotsAnswer::Unreachable {
        reason: reason.into(),
    };
    match status {
        200..=299 => match (&answered.problem, exchange.cut) {
            // Half a file may lack the very line that forbids.
            (Some(problem), _) => unreachable(format!("robots.txt did not come whole: {problem}")),
            (None, Some(Cut::Disconnect | Cut::Time)) => {
                unreachable("robots.txt did not come whole".to_owned())
            }
            (None, Some(Cut::Length) | None) => match decoded(exchange) {
                Ok(body) => RobotsAnswer::File(body.into()),
                Err(error) => unreachable(format!("robots.txt cannot be read: {error}")),
            },
        },
        429 | 500.. => unreachable(format!("robots.txt was answered with {status}")),
        _ => RobotsAnswer::Unavailable { status },
    }
}

/// The file without its content coding, at most [`BODY_MAX`] and one byte (which tells that it was cut).
pub(super) fn decoded(exchange: &Exchange) -> Result<Vec<u8>, coding::CodingError> {
    let codings = coding::parse(exchange.header(CONTENT_ENCODING).unwrap_or_default())?;
    let mut plain = Vec::new();
    let read = coding::decode(
        &exchange.body,
        &codings,
        BODY_MAX as u64 + 1,
        &mut |piece| {
            plain.extend_from_slice(piece);
            std::ops::ControlFlow::Continue(())
        },
    );
    match read {
        // A coded body that was cut at its limit ends badly; what came before is the file's beginning.
        Err(coding::CodingError::Malformed(_)) if exchange.cut == Some(Cut::Length) => Ok(plain),
        Err(error) => Err(error),
        Ok(_) => Ok(plain),
    }
}

/// The sitemaps that the file names, as absolute URLs.
fn sitemaps_of(url: &Url, body: &[u8]) -> Vec<String> {
    let robots = Robots::parse(body);
    let absolute = robots
        .sitemaps()
        .iter()
        .filter_map(|named| url.join(named).ok());
    let requestable =
        absolute.filter(|named| Host::of(named).is_some() && Origin::of(named).is_some());
    requestable.map(String::from).collect()
}

fn path_and_query(url: &Url) -> &str {
    &url[url::Position::BeforePath..url::Position::AfterQuery]
}
