//! One request of a lease: sent when its turn has come, with the permits it needs and none of them longer.
//!
//! Owns the order in which turn, permit, memory and lease are looked at before anything is sent (I2, I4, I6), and
//! the reading of a redirect. What an answer means is [`crate::judge`]'s. Start at [`Run::request`].

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use contract::Url;
use contract::canonical::canonical;
use contract::cause::{Cause, Layer};
use contract::earlier::Earlier;
use contract::host::{Host, Origin};
use contract::turns::Turn;
use http::header::LOCATION;

use super::{Begun, Run};
use crate::address::Dial;
use crate::error::FetchError;
use crate::holding::Stop;
use crate::http::{Answered, Ask, Wanted};
use crate::lines::Lines;
use crate::shell::Taken;

impl Run {
    /// Whether port and, where the host is one, address may be dialled.
    pub(super) fn may_dial(&self, url: &Url) -> Result<(), FetchError> {
        may_dial(&self.shell.dial, url)
    }

    /// Sends one request when its turn has come: after the host's delay or `pause`, the longer of them, and when the
    /// rate of all nodes has a slot. Whoever waits for that holds no permit and no memory. With `earlier` only what differs
    /// from that is asked for.
    pub(super) async fn request(
        &mut self,
        url: &Url,
        pause: Duration,
        begun: &mut Begun,
        (wanted, earlier): (Wanted, Option<&Earlier>),
    ) -> Result<Result<Answered, FetchError>, Stop> {
        let shell = self.shell.clone();
        let longest = self.hold.longest(shell.exchanger.times.answer);
        let mut turn: Option<Turn> = None;
        let (permit, held) = loop {
            self.hold.turn(pause, longest).await?;
            let ready = async {
                // The semaphore is private to the shell and never closed.
                let permit = shell.in_flight.clone().acquire_owned().await.ok();
                (permit, shell.exchanger.budget.reserve().await)
            };
            let ready = tokio::select! {
                ready = ready => ready,
                _ = shell.drain.cancelled() => return Err(Stop::Drained),
            };
            // With the permit in hand, so that what is in flight is all that is still to come.
            if shell.doors.halt.is_set() {
                return Err(Stop::Paused);
            }
            // Waiting for them may have used the lease up. More of it is asked for without holding anything.
            if !self.hold.covers(longest) {
                continue;
            }
            // The turn may have ended meanwhile; another may be there at once.
            let turns = &shell.doors.turns;
            let kept = turn.take().filter(|turn| turns.holds(turn));
            if let Some(turn) = kept.or_else(|| turns.try_turn()) {
                turn.spend();
                break ready;
            }
            drop(ready);
            let waiting = pin!(turns.turn());
            turn = tokio::select! {
                turn = self.hold.meanwhile(waiting) => Some(turn),
                _ = shell.drain.cancelled() => return Err(Stop::Drained),
            };
        };
        let page = *begun.deadline.get_or_insert_with(|| self.page_deadline());
        if page.over(&shell.clock).is_some() {
            return Ok(Err(FetchError::deadline(Layer::Page)));
        }
        let lines = match self.lines(url) {
            Ok(lines) => lines,
            Err(error) => return Ok(Err(error)),
        };
        begun.began = shell.clock.wall();
        let not_after = self.hold.end();
        let ask = Ask {
            url,
            lines: &lines,
            earlier,
            page,
            cancel: &shell.stop,
            not_after,
            wanted,
            held,
        };
        let taken = self
            .taken
            .get_or_insert_with(|| Taken::new(&shell, &self.hold.host));
        let result = {
            let _in_flight = shell.meters.in_flight();
            shell.exchanger.run(taken.connection(), ask).await
        };
        self.hold.request_ended();
        drop(permit);
        shell.meters.request_ended(&result);
        match result {
            Err(FetchError::Ended(Cause::Cancelled { .. })) => Err(Stop::Drained),
            Err(FetchError::LeaseOver(_)) => Err(Stop::Short),
            result => Ok(result),
        }
    }

    /// The header lines of this URL's server: those of the last request, as long as it is the same one.
    fn lines(&mut self, url: &Url) -> Result<Rc<Lines>, FetchError> {
        if let Some(lines) = self.lines.as_ref().filter(|lines| lines.serve(url)) {
            return Ok(lines.clone());
        }
        let headers = Origin::of(url)
            .map(|origin| self.shell.settings.headers_for(&origin))
            .unwrap_or_default();
        let lines = Rc::new(Lines::of(url, headers)?);
        self.lines = Some(lines.clone());
        Ok(lines)
    }

    pub(super) fn is_same_page(&self, url: &Url, target: &Url) -> bool {
        Host::of(target).as_ref() == Some(&self.hold.host)
            && canonical(url) == canonical(target)
            && self.may_dial(target).is_ok()
    }
}

/// Whether port and, where the host is one, address may be dialled.
pub(crate) fn may_dial(dial: &Dial, url: &Url) -> Result<(), FetchError> {
    let port = url.port_or_known_default().unwrap_or_default();
    dial.port(port)?;
    literal(url).map_or(Ok(()), |address| {
        dial.socket(SocketAddr::new(address, port))
    })?;
    Ok(())
}

/// The address that a URL names instead of a host name.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Domain(_) => None,
        url::Host::Ipv4(v4) => Some(IpAddr::V4(v4)),
        url::Host::Ipv6(v6) => Some(IpAddr::V6(v6)),
    }
}

/// Where an answer redirects to, as far as that can be requested.
pub(crate) fn redirect_target(url: &Url, answered: &Answered) -> Option<Url> {
    let exchange = &answered.exchange;
    if !matches!(exchange.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = String::from_utf8_lossy(exchange.headers.get(LOCATION)?.as_bytes());
    let target = url.join(location.trim()).ok()?;
    Origin::of(&target).map(|_| target)
}
