//! `/.well-known/tdmrep.json` within a lease: asked for once a day and origin, by crawls whose purpose is mining.
//!
//! It is a request like any other of the host: after its delay, within the lease, where robots.txt lets it. Kept by the
//! fetcher alone: a host's next lease mostly comes to the same one. What cannot be had says nothing (the protocol knows
//! reservations that are made, no others) and is asked for again with the next lease. Start at [`Run::tdm`].

use std::rc::Rc;
use std::time::Duration;

use contract::Url;
use contract::error::ErrorClass;
use contract::host::Origin;
use contract::page::{Fate, Place, Verdict};

use super::Run;
use super::robots::{GOOD_FOR, decoded};
use crate::holding::Stop;
use crate::http::Wanted;
use crate::judge::Facts;
use crate::rights::SiteRights;
use crate::shell::Good;

pub(super) const PATH: &str = "/.well-known/tdmrep.json";
/// Bytes of a tdmrep.json that are read.
const BODY_MAX: u64 = 64 * 1_024;
/// Origins whose tdmrep.json is remembered.
const ORIGINS_MAX: usize = 1_024;

impl Run {
    /// A site's statements with those of its tdmrep.json, where that is to be asked for.
    pub(super) async fn tdm(
        &mut self,
        origin: &Origin,
        rights: SiteRights,
    ) -> Result<SiteRights, Stop> {
        let now = self.shell.clock.boot();
        let known = self.shell.tdm.borrow().get(origin).cloned();
        if let Some(good) = known.filter(|good| now < good.until) {
            return Ok(rights.with_tdm(&good.body));
        }
        let Ok(url) = Url::parse(&format!("{origin}{PATH}")) else {
            return Ok(rights);
        };
        let mut begun = self.nothing_begun();
        let answered = match self
            .request(
                &url,
                Duration::ZERO,
                &mut begun,
                (Wanted::Start(BODY_MAX), None),
            )
            .await?
        {
            Ok(answered) => answered,
            Err(error) if error.class() == ErrorClass::System => {
                self.shell.fault(&error);
                return Err(Stop::Ill);
            }
            Err(error) => {
                tracing::debug!(%origin, %error, "tdmrep.json cannot be had");
                return Ok(rights);
            }
        };
        let status = answered.exchange.status;
        let whole = answered.problem.is_none() && answered.exchange.cut.is_none();
        let body: Option<Rc<[u8]>> = match whole && status.is_success() {
            true => decoded(&answered.exchange).ok().map(Into::into),
            false => (status.is_client_error() || status.is_redirection()).then(|| [].into()),
        };
        if let Some(body) = &body {
            let mut kept = self.shell.tdm.borrow_mut();
            if kept.len() >= ORIGINS_MAX && !kept.contains_key(origin) {
                // The bound is soft: an origin that is forgotten is asked once more.
                let any = kept.keys().next().cloned();
                any.map(|any| kept.remove(&any));
            }
            let (until, body) = (now.after(GOOD_FOR), body.clone());
            kept.insert(origin.clone(), Good { until, body });
        }
        let result = Ok(answered);
        let facts = Facts::of(&result, self.shell.clock.wall().millis());
        let verdict = Verdict {
            outcome: facts.outcome,
            detail: facts.detail,
            fate: Fate::Done,
        };
        let exchange = result.ok().map(|answered| answered.exchange);
        let page = self.robots_page(url, Place::Beside, begun.began, verdict, exchange);
        self.hand(page).await?;
        Ok(rights.with_tdm(&body.unwrap_or_else(|| [].into())))
    }
}
