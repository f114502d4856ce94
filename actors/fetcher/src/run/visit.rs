//! A request to another host, where a robots.txt redirects to: under that host's own lease.
//!
//! Owns how long the holder of a lease waits for another host: not for long, since two holders may wait for each other.
//! Then its own host rests, and its robots.txt is asked for again; the other is kept for it meanwhile. Invariant: no
//! request goes to a host that is not leased (I2). Start at [`Run::elsewhere`].

use std::pin::pin;
use std::time::Duration;

use contract::Url;
use contract::clock::{Boot, Chance};
use contract::host::Host;
use contract::lease::{Lease, VISIT_KEPT, Visit, Visited};
use tokio::time::sleep;
use tracing::warn;

use super::{Begun, Run};
use crate::error::FetchError;
use crate::holding::Stop;
use crate::http::{Answered, Wanted};
use crate::judge::{Facts, is_strike, strikes_after};

/// About so long a holder waits for another host.
const PATIENCE: Duration = Duration::from_secs(10);
/// It asks so often meanwhile.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long its own host then rests; the other is still kept for it when it comes back.
const AWAY: Duration = Duration::from_secs(15);
const _: () = assert!(AWAY.as_secs() * 3 / 2 < VISIT_KEPT.as_secs());

impl Run {
    /// Sends one request to a host that is not this lease's.
    pub(super) async fn elsewhere(
        &mut self,
        url: &Url,
        begun: &mut Begun,
        wanted: Wanted,
    ) -> Result<Result<Answered, FetchError>, Stop> {
        let Some(host) = Host::of(url) else {
            return Ok(Err(FetchError::InvalidUrl(url.to_string())));
        };
        let mut chance = Chance::seeded(self.hold.token.0);
        // Not the same for two that wait for each other.
        let mut patience = chance.jitter(PATIENCE);
        loop {
            let from = self.shell.clock.boot();
            let wait = match self.visit(&host).await? {
                Visited::Granted(lease) => {
                    let visited = self.visited((lease, from), url, begun, wanted);
                    match visited.await {
                        // Its address had no room.
                        Err(Stop::Rest) => ASK_EVERY,
                        ended => return ended,
                    }
                }
                Visited::Busy => ASK_EVERY,
                Visited::Rests(wait) => wait.max(Duration::from_millis(1)),
            };
            let Some(left) = patience.checked_sub(wait) else {
                self.hold.rest(wait.max(chance.jitter(AWAY))).await?;
                return Err(Stop::Rest);
            };
            patience = left;
            let shell = self.shell.clone();
            let waiting = pin!(sleep(wait));
            tokio::select! {
                () = self.hold.meanwhile(waiting) => {}
                _ = shell.drain.cancelled() => return Err(Stop::Drained),
            }
        }
    }

    async fn visit(&self, host: &Host) -> Result<Visited, Stop> {
        let ask = Visit { host: host.clone() };
        match self.shell.doors.visit.ask(ask).await {
            Ok(Ok(visited)) => Ok(visited),
            Ok(Err(error)) => {
                warn!(%error, %host, "cannot ask for a host that robots.txt redirects to");
                Err(Stop::Ill)
            }
            Err(_) => Err(Stop::Closed),
        }
    }

    /// The request under the other host's lease, which is given back after it; this one is kept alive meanwhile.
    async fn visited(
        &mut self,
        (lease, from): (Lease, Boot),
        url: &Url,
        begun: &mut Begun,
        wanted: Wanted,
    ) -> Result<Result<Answered, FetchError>, Stop> {
        let mut visit = Self::new(self.shell.clone(), lease, from);
        // This host sends nothing meanwhile: where both are at one address, they count there once.
        visit.counted = self.counted;
        let ended = {
            let request = pin!(visit.as_visitor(url, begun, wanted));
            self.hold.meanwhile(request).await
        };
        let stop = ended.as_ref().err().copied();
        visit.give_back(stop).await;
        match ended {
            // Only the other host's lease is lost.
            Err(Stop::Lost) => Err(Stop::Short),
            ended => ended,
        }
    }

    async fn as_visitor(
        &mut self,
        url: &Url,
        begun: &mut Begun,
        wanted: Wanted,
    ) -> Result<Result<Answered, FetchError>, Stop> {
        if let Err(error) = self.enter(url).await? {
            return Ok(Err(error));
        }
        let result = self
            .request(url, Duration::ZERO, begun, (wanted, None))
            .await?;
        let facts = Facts::of(&result, self.shell.clock.wall().millis());
        let strikes = strikes_after(self.hold.strikes, &facts, self.shell.clock.wall());
        self.hold.strikes = strikes;
        if is_strike(&facts) {
            let config = &self.shell.config;
            let rest = match facts.unreached {
                true => {
                    let tries_max = self.shell.settings.pace.tries_max;
                    let rest = config.unreached_rest(strikes.unreached, tries_max);
                    rest.unwrap_or_default()
                }
                false => config.rest_after(strikes.refused),
            };
            let most = Duration::from_secs(self.shell.settings.pace.retry_after_s_max);
            let rest = facts.retry_after.map_or(rest, |asked| asked.min(most));
            self.hold.rest(rest).await?;
        }
        self.hold.tell_strikes().await?;
        Ok(result)
    }
}
